package web

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/web/page"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

func (f *Front) startPage(w http.ResponseWriter, r *http.Request, s *Server) {
	q := r.URL.Query()
	f.showStart(w, r, s, http.StatusOK, page.Start{Ref: q.Get("ref"), Name: q.Get("name"), Once: newOnce(f.Now()).String()})
}

// showStart shows the form as it was filled in, with what can be chosen at its ref.
func (f *Front) showStart(w http.ResponseWriter, r *http.Request, s *Server, status int, v page.Start) {
	v.Repository, v.Identity = s.Site.Called(), s.Site.Identity()
	var err error
	if v.Choices, err = s.Desk.Choices(r.Context(), v.Ref); err != nil && v.Problem == "" {
		v.Problem = err.Error()
	}
	f.page(w, r, status, v)
}

// startPressed starts a build, or only looks what could be started at another ref.
// Who made a mistake gets back what they wrote.
func (f *Front) startPressed(w http.ResponseWriter, r *http.Request, s *Server) {
	v := page.Start{
		Ref: strings.TrimSpace(r.PostFormValue("ref")), Name: strings.TrimSpace(r.PostFormValue("name")),
		Parameters: r.PostFormValue("parameters"), NoReuse: r.PostFormValue("noreuse") != "", Once: r.PostFormValue(page.FieldOnce),
	}
	once, err := readOnce(v.Once, f.Now())
	if err != nil {
		f.refusePressed(w, r, err)
		return
	}
	if r.PostFormValue("look") != "" {
		f.showStart(w, r, s, http.StatusOK, v)
		return
	}
	t, err := f.start(r, s, once, v)
	if err != nil {
		v.Problem = err.Error()
		f.showStart(w, r, s, http.StatusUnprocessableEntity, v)
		return
	}
	f.asked(w, r, s, t)
}

func (f *Front) start(r *http.Request, s *Server, once Once, v page.Start) (plan.Trigger, error) {
	given, err := readParameters(v.Parameters)
	if err != nil {
		return plan.Trigger{}, err
	}
	return s.Desk.Start(r.Context(), once, api.Start{Name: v.Name, Ref: v.Ref, Parameters: given, NoReuse: v.NoReuse, Actor: whoActs(r)})
}

// readParameters reads lines of NAME=VALUE. An empty line means nothing.
func readParameters(text string) (map[string]string, error) {
	given := map[string]string{}
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSuffix(line, "\r") // as browsers send lines
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || !plan.ValidParameterName(name) {
			return nil, fmt.Errorf("%.80q is not of the form NAME=VALUE", line)
		}
		if _, twice := given[name]; twice {
			return nil, fmt.Errorf("parameter %s is given twice", name)
		}
		given[name] = value
	}
	return given, nil
}

package web

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/web/page"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A ParametersError means that values of parameters are missing or wrong.
type ParametersError struct {
	Wrong map[string]string // what is wrong, as the rest of a sentence, by name
	Err   error
}

func (e *ParametersError) Error() string { return e.Err.Error() }

// Unwrap is the error as who made it has it.
func (e *ParametersError) Unwrap() error { return e.Err }

// A startForm is the form that starts a build, as it was filled in.
type startForm struct {
	sent    url.Values
	ref     string
	name    string
	once    string
	noReuse bool
	given   map[string]string // values of parameters; what was left empty is not given
}

func readStart(sent url.Values) startForm {
	f := startForm{
		sent: sent, ref: strings.TrimSpace(sent.Get("ref")), name: strings.TrimSpace(sent.Get("name")),
		once: sent.Get(page.FieldOnce), noReuse: sent.Get("noreuse") != "", given: map[string]string{},
	}
	for field := range sent {
		if name, ok := strings.CutPrefix(field, page.FieldParameter); ok && sent.Get(field) != "" {
			f.given[name] = sent.Get(field)
		}
	}
	return f
}

// startPage shows the form with the fields of what an address chooses. It changes
// nothing: a link may fill the form in.
func (f *Front) startPage(w http.ResponseWriter, r *http.Request, s *Server) {
	form := readStart(r.URL.Query())
	form.once = newOnce(f.Now()).String()
	offer, err := s.Desk.Offer(r.Context(), form.ref, form.name)
	f.showStart(w, r, s, http.StatusOK, form, offer, err)
}

// showStart shows the form as it was filled in, and what is wrong with that.
func (f *Front) showStart(w http.ResponseWriter, r *http.Request, s *Server, status int, form startForm, offer page.Offer, wrong error) {
	v := page.Start{
		Repository: s.Site.Called(), Identity: s.Site.Identity(), Once: form.once, Ref: form.ref, NoReuse: form.noReuse, Offer: offer,
	}
	v.Name, v.Fields = cmp.Or(offer.Name, form.name), slices.Clone(offer.Fields)
	var about *ParametersError
	if wrong != nil {
		v.Problem = wrong.Error()
	}
	if !errors.As(wrong, &about) {
		about = &ParametersError{}
	}
	for i := range v.Fields {
		v.Fields[i].Value, v.Fields[i].Problem = form.given[v.Fields[i].Name], about.Wrong[v.Fields[i].Name]
	}
	f.page(w, r, status, v)
}

// startPressed starts a build. Who made a mistake gets back what they wrote.
func (f *Front) startPressed(w http.ResponseWriter, r *http.Request, s *Server) {
	form := readStart(r.PostForm)
	once, err := readOnce(form.once, f.Now())
	if err != nil {
		f.refusePressed(w, r, err)
		return
	}
	offer, err := s.Desk.Offer(r.Context(), form.ref, form.name)
	if err == nil {
		err = form.shows(offer)
	}
	var t plan.Trigger
	if err == nil {
		t, err = s.Desk.Start(r.Context(), once, api.Start{
			Name: form.name, Ref: form.ref, Parameters: form.given, NoReuse: form.noReuse, Actor: whoActs(r),
		})
	}
	if err != nil {
		f.showStart(w, r, s, http.StatusUnprocessableEntity, form, offer, err)
		return
	}
	f.asked(w, r, s, t)
}

// shows refuses a form without the fields of what is chosen: whoever filled it in has
// chosen something else since, and has not seen what that asks for.
func (f startForm) shows(o page.Offer) error {
	if slices.ContainsFunc(o.Fields, func(field page.Field) bool { return !f.sent.Has(field.ID()) }) {
		return fmt.Errorf("%s has parameters that the form did not show: here they are", o.Name)
	}
	return nil
}

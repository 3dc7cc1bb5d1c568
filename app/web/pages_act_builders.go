package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/velocity-ci/velocity/app/web/page"
	"github.com/velocity-ci/velocity/storage/roster"
)

// turnPressed makes a route of a change to one builder.
func turnPressed(with func(r *roster.Roster, ctx context.Context, name, by string) error) func(*Front, http.ResponseWriter, *http.Request, *Server) {
	return func(f *Front, w http.ResponseWriter, r *http.Request, _ *Server) {
		name := r.PathValue("name")
		err := with(f.Roster, r.Context(), name, whoActs(r))
		if errors.Is(err, roster.ErrNone) {
			err = statusError{http.StatusNotFound, fmt.Errorf("there is no builder %q", name)}
		}
		if err != nil {
			f.refusePressed(w, r, err)
			return
		}
		if f.Changed != nil {
			f.Changed(name)
		}
		guarded(w)
		http.Redirect(w, r, "/builders?"+url.Values{sayParam: {name}}.Encode(), http.StatusSeeOther)
	}
}

// turned says how the builder stands that was just changed; "" if none was.
func turned(r *http.Request, all []page.Builder) string {
	name := r.URL.Query().Get(sayParam)
	for _, b := range all {
		switch {
		case b.Name != name || !b.Turns():
		case b.Drained:
			return fmt.Sprintf("%s finishes what it has, and takes nothing new.", name)
		default:
			return fmt.Sprintf("%s takes work.", name)
		}
	}
	return ""
}

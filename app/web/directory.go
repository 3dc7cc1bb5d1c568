package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/velocity-ci/velocity/app/api"
)

// A Known repository is one that something can be made for, or was.
type Known struct {
	Identity string // what it stays known by; whatever is for it is for that
	Name     string // as people call it now
	State    string // of api.Bound; "" if it is served
}

// States that are told of repositories beside those of forges.
const (
	stateAway    = "away"
	stateUnknown = "unknown"
)

// A directory is the repositories as they are called at one moment. A name may be
// another's in the next: what is kept is the identity.
type directory struct {
	known []Known
	open  bool // there may be others: nobody serves here
}

// directory looks which repositories there are. If it cannot, it has answered.
func (f *Front) directory(w http.ResponseWriter, r *http.Request) (directory, bool) {
	d, err := f.look(r.Context())
	if err != nil {
		f.Log.Error("repositories", "err", err)
		f.problem(w, http.StatusInternalServerError, errors.New("the server could not do it; its log says why"))
	}
	return d, err == nil
}

func (f *Front) look(ctx context.Context) (d directory, err error) {
	if f.Known != nil {
		if d.known, err = f.Known(ctx); err != nil {
			return d, err
		}
	}
	sites := f.Sites.list()
	d.open = len(sites) == 0
	for _, s := range sites {
		one := Known{Identity: s.Site.Identity(), Name: s.Site.Called()}
		if !slices.ContainsFunc(d.known, func(k Known) bool { return k.Identity == one.Identity }) {
			d.known = append(d.known, one)
		}
	}
	return d, nil
}

// find is the repository that somebody means: by its identity, or by what it is
// called now. One that is away is not meant by its name, which may be another's.
func (all directory) find(text string) (Known, error) {
	var found, away []Known
	for _, k := range all.known {
		switch {
		case k.Identity == text:
			return k, nil
		case !strings.EqualFold(k.Name, text):
		case k.State == stateAway:
			away = append(away, k)
		default:
			found = append(found, k)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return Known{}, statusError{http.StatusConflict, fmt.Errorf("several repositories are called %q: name one by %s", text, identities(found))}
	case len(away) > 0:
		return Known{}, statusError{http.StatusNotFound, fmt.Errorf("no repository is called %q now: name the one that was by %s", text, identities(away))}
	case all.open:
		return Known{Identity: text, Name: text}, nil
	}
	return Known{}, statusError{http.StatusNotFound, fmt.Errorf("there is no repository %q here", text)}
}

func identities(of []Known) string {
	var all []string
	for _, k := range of {
		all = append(all, k.Identity)
	}
	return strings.Join(all, " or ")
}

// bound tells of a repository that something was made for when it was called then.
func (all directory) bound(identity, then string) api.Bound {
	b := api.Bound{Key: identity, Name: cmp.Or(then, identity)}
	i := slices.IndexFunc(all.known, func(k Known) bool { return k.Identity == identity })
	switch {
	case i >= 0:
		b.Name, b.State = all.known[i].Name, all.known[i].State
	case !all.open:
		b.State = stateUnknown
	}
	if then != "" && then != b.Name {
		b.Was = then
	}
	return b
}

// theSite finds a site by what it is called now, or by its identity.
func theSite(sites []*Server, text string) (*Server, error) {
	var found []*Server
	for _, s := range sites {
		if s.Site.Identity() == text {
			return s, nil
		}
		if s.Site.Called() == text {
			found = append(found, s)
		}
	}
	switch len(found) {
	case 0:
		return nil, statusError{http.StatusNotFound, fmt.Errorf("there is no repository %q here", text)}
	case 1:
		return found[0], nil
	}
	return nil, statusError{http.StatusConflict, fmt.Errorf("several repositories are called %q: name one by %s or %s", text, found[0].Site.Identity(), found[1].Site.Identity())}
}

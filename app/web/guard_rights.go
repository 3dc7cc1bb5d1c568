package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage/roster"
)

const (
	// maxAsking is how many repositories a forge is asked about at the same time, for
	// one caller.
	maxAsking = 8
	// defaultRecheck is how long a stream goes on before a forge is asked again.
	defaultRecheck = time.Minute
)

// admit reports by its error whether a caller has the right that a route needs, and
// finds the repository that it is about.
func (f *Front) admit(r *http.Request, c caller, route Route) (*Server, error) {
	if err := f.admitToServer(r.Context(), c, route); err != nil {
		return nil, err
	}
	if route.On != OnRepository {
		return nil, nil
	}
	site, err := f.site(r, c)
	if err != nil && c.stranger {
		return nil, errNoToken // what is not public is as what is not there
	}
	if err != nil || !c.asks() || route.Need == roster.Read {
		return site, err
	}
	may, err := f.lets(r.Context(), c, route.Need, site)
	if err == nil && !may {
		err = statusError{http.StatusForbidden, fmt.Errorf("you may not write to %s on its forge", site.Site.Called())}
	}
	return site, err
}

// admitToServer is admit for what the right is in whatever repositories.
func (f *Front) admitToServer(ctx context.Context, c caller, route Route) error {
	switch {
	case c.local || c.person == nil && !c.stranger:
		if !c.token.Rights.Includes(route.Need) {
			return statusError{http.StatusForbidden, fmt.Errorf("this needs a token with the right %s; this one has %s", route.Need, c.token.Rights)}
		}
		return nil
	case route.programs:
		return statusError{http.StatusForbidden, errors.New("this needs an API token: a login on a forge is not enough")}
	case route.On == OnRepository || route.Need == roster.Read:
		return nil // the repositories are what counts
	case c.stranger:
		return errNoToken
	case !f.People.Admin(*c.person) || route.Need != roster.Admin:
		return statusError{http.StatusForbidden, fmt.Errorf("this is for who runs the server; the configuration does not name %s", c.person)}
	}
	return f.known(ctx, c)
}

// known reports by its error whether a person's forge still knows them.
func (f *Front) known(ctx context.Context, c caller) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	known, err := f.People.Known(ctx, *c.person)
	if err != nil {
		f.Log.Warn("a forge did not say who somebody is", "person", c.person.String(), "err", err)
		return errForgeSilent
	}
	if !known {
		return errNoToken
	}
	return nil
}

// errForgeSilent is for when a forge does not say what somebody may.
var errForgeSilent = statusError{http.StatusServiceUnavailable, errors.New("the forge could not be asked what you may do: try again")}

// lets reports whether a caller has a right in a repository. For people their forge is
// asked, for strangers what everybody may. The error is errForgeSilent.
func (f *Front) lets(ctx context.Context, c caller, need roster.Right, s *Server) (bool, error) {
	ask := func(ctx context.Context) (bool, error) { return s.Lets(ctx, *c.person, need) }
	switch {
	case !c.asks():
		return c.token.May(need, s.Site.Identity()), nil
	case c.stranger && (need != roster.Read || s.Reads == nil) || c.person != nil && s.Lets == nil:
		return false, nil
	case c.stranger:
		ask = func(ctx context.Context) (bool, error) { return s.Reads(ctx, "") }
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	may, err := ask(ctx)
	if err != nil {
		f.Log.Warn("a forge did not say what somebody may", "person", c.name(), "repo", s.Site.Called(), "err", err)
		return false, errForgeSilent
	}
	return may, nil
}

// readable are those of some sites that a caller may read, in their order. With an
// error they are those for which the answer is known.
func (f *Front) readable(ctx context.Context, c caller, sites []*Server) ([]*Server, error) {
	lets := make([]bool, len(sites))
	var mu sync.Mutex
	var first error
	var group errgroup.Group
	group.SetLimit(maxAsking)
	for i, s := range sites {
		group.Go(func() error {
			may, err := f.lets(ctx, c, roster.Read, s)
			mu.Lock()
			defer mu.Unlock()
			lets[i], first = may, cmp.Or(first, err)
			return nil // one that is not known is no reason not to ask about others
		})
	}
	_ = group.Wait() // none has an error
	var all []*Server
	for i, s := range sites {
		if lets[i] {
			all = append(all, s)
		}
	}
	return all, first
}

// sitesOf are the sites that whoever asks may read. What a forge does not tell is left
// out.
func (f *Front) sitesOf(r *http.Request) []*Server {
	c, _ := callerOf(r)
	sites, _ := f.readable(r.Context(), c, f.Sites.list()) // it is in the log
	return sites
}

// hasPublic reports whether there is something that everybody may read.
func (f *Front) hasPublic(ctx context.Context) bool {
	sites, _ := f.readable(ctx, caller{stranger: true}, f.Sites.list()) // it is in the log
	return len(sites) > 0
}

// site finds the repository that a request is about: by its name, by the build's
// id, or because the caller may read no other. Repositories that they may not read
// are to them as if they were not there.
func (f *Front) site(r *http.Request, c caller) (*Server, error) {
	meant := f.Sites.list()
	name, which := r.URL.Query().Get(api.ParamRepository), cmp.Or(r.URL.Query().Get(api.ParamBuild), r.PathValue("id"))
	if c.asks() { // which takes a while for each
		meant = f.meant(r.Context(), meant, name, which)
	}
	sites, err := f.readable(r.Context(), c, meant)
	if err == nil && len(meant) == 0 && c.person != nil {
		err = f.known(r.Context(), c) // as long, and as likely to fail, as of one that is there
	}
	if err != nil {
		return nil, err
	}
	if name != "" {
		return theSite(sites, name)
	}
	if len(sites) == 1 {
		return sites[0], nil
	}
	if _, err := build.ParseID(which); err == nil {
		for _, s := range sites {
			if _, err := s.lookUp(r.Context(), which); err == nil {
				return s, nil
			}
		}
		return nil, statusError{http.StatusNotFound, fmt.Errorf("build %s: there is none of that id here", which)}
	}
	return nil, statusError{http.StatusBadRequest, fmt.Errorf("which repository? there are %s", strings.Join(names(sites), ", "))}
}

// meant are the sites that a request can be about: of a name, or with a build.
func (f *Front) meant(ctx context.Context, sites []*Server, name, which string) []*Server {
	_, err := build.ParseID(which)
	return slices.DeleteFunc(sites, func(s *Server) bool {
		switch {
		case name != "":
			return s.Site.Called() != name && s.Site.Identity() != name
		case err == nil:
			_, err := s.lookUp(ctx, which)
			return err != nil
		}
		return false
	})
}

// whileLet has a stream end when its caller may not read the repository any more. As
// long as it is open, the forge is asked again and again. What is returned ends that.
func (f *Front) whileLet(r *http.Request, c caller, route Route, site *Server) (*http.Request, func()) {
	ctx, cancel := context.WithCancel(r.Context())
	var asking sync.WaitGroup
	asking.Go(func() {
		again := time.NewTicker(cmp.Or(f.Recheck, defaultRecheck))
		defer again.Stop()
		for {
			select {
			case <-again.C:
			case <-ctx.Done():
				return
			}
			if may, err := f.lets(ctx, c, route.Need, site); err != nil || !may {
				cancel()
				return
			}
		}
	})
	return r.WithContext(ctx), func() { cancel(); asking.Wait() }
}

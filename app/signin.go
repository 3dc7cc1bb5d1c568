package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/forge/github"
	"github.com/velocity-ci/velocity/app/forge/gitlab"
	"github.com/velocity-ci/velocity/app/forge/oauth"
	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/storage/roster"
)

// A login asks people of one forge who they are.
type login interface {
	// Address is the forge's page for it, Exchange takes what people bring back.
	Address(state, verifier string) string
	Exchange(ctx context.Context, code, verifier string) (oauth.Grant, error)
	// Who is whose token it is now. Errors: forge.ErrForbidden if it is nobody's.
	Who(ctx context.Context, token string) (forge.User, error)
	Revoke(ctx context.Context, token string) error
}

// callbackOf is where a forge sends people back to who sign in; "" for a server that
// does not know its own address.
func callbackOf(server string, kind forge.Kind) string {
	if server == "" {
		return ""
	}
	return strings.TrimSuffix(server, "/") + web.CallbackPath(string(kind))
}

// loginOfHub is how people of GitHub sign in, nil if they do not.
func (f *forges) loginOfHub(a githubApp) (login, error) {
	callback := callbackOf(f.conf.URL, forge.GitHub)
	if a.ClientID == "" || a.ClientSecret == "" || callback == "" {
		return nil, nil
	}
	return github.NewLogin(github.LoginOptions{
		Web: f.conf.GitHub.URL, ID: a.ClientID, Secret: a.ClientSecret, Callback: callback,
		Transport: forgeTransport(), Now: f.s.c.now, UserAgent: userAgent,
	})
}

// loginOfLab is how people of GitLab sign in, nil if they do not.
func (f *forges) loginOfLab() (login, error) {
	conf := f.conf.GitLab
	if conf.OAuth.ID == "" {
		return nil, nil
	}
	secrets, err := f.s.c.secrets("gitlab.oauth.secret", conf.OAuth.Secret)
	if err != nil {
		return nil, err
	}
	return gitlab.NewLogin(gitlab.LoginOptions{
		URL: conf.URL, ID: conf.OAuth.ID, Secret: secrets[0], Callback: callbackOf(f.conf.URL, forge.GitLab),
		Transport: forgeTransport(), Now: f.s.c.now, UserAgent: userAgent,
	})
}

// A way is how people of one forge sign in.
type way struct {
	kind  forge.Kind
	title string
	login login
}

// Forge implements web.Way.
func (w way) Forge() string { return string(w.kind) }

// Title implements web.Way.
func (w way) Title() string { return w.title }

// Address implements web.Way.
func (w way) Address(state, verifier string) string { return w.login.Address(state, verifier) }

// Finish implements web.Way.
func (w way) Finish(ctx context.Context, code, verifier string) (web.Person, time.Time, error) {
	grant, err := w.login.Exchange(ctx, code, verifier)
	if errors.Is(err, oauth.ErrRefused) {
		err = fmt.Errorf("%w: %w", web.ErrNotSignedIn, err)
	}
	if err != nil {
		return web.Person{}, time.Time{}, err
	}
	who, err := w.login.Who(ctx, grant.Token)
	if errors.Is(err, forge.ErrForbidden) || err == nil && who.Bot {
		err = fmt.Errorf("%w: it does not name a person", web.ErrNotSignedIn)
	}
	return web.Person{Forge: w.Forge(), ID: who.ID, Login: who.Login, Token: grant.Token}, grant.Until, err
}

// End implements web.Way.
func (w way) End(ctx context.Context, token string) error { return w.login.Revoke(ctx, token) }

// people are those of all forges. They are web.People.
type people struct{ f *forges }

// Ways implements web.People.
func (p people) Ways() []web.Way {
	var all []web.Way
	for _, w := range p.f.ways() {
		all = append(all, w)
	}
	return all
}

// ways are the forges that people can sign in with now.
func (f *forges) ways() (all []way) {
	if h := f.hub.Load(); h != nil && h.login != nil {
		all = append(all, way{forge.GitHub, "GitHub", h.login})
	}
	if f.labLogin != nil {
		all = append(all, way{forge.GitLab, "GitLab", f.labLogin})
	}
	return all
}

// Known implements web.People.
func (p people) Known(ctx context.Context, one web.Person) (bool, error) {
	_, known, err := p.f.who(ctx, one)
	return known, err
}

// Admin implements web.People.
func (p people) Admin(one web.Person) bool { return p.f.conf.Admins.names(one) }

// who asks a person's forge for them as they are now, by their token; ok is false if
// that is theirs no more.
func (f *forges) who(ctx context.Context, p web.Person) (now forge.User, ok bool, err error) {
	all := f.ways()
	i := slices.IndexFunc(all, func(w way) bool { return w.Forge() == p.Forge })
	if i < 0 {
		return now, false, nil
	}
	now, err = all[i].login.Who(ctx, p.Token)
	if errors.Is(err, forge.ErrForbidden) {
		return now, false, nil
	}
	return now, err == nil && now.ID == p.ID, err
}

// lets reports whether a person may read a repository, by what its forge says of their
// token now or said within a minute, or act on it, by what it says now. A token is
// shown to the forge that gave it, and to no other.
func (f *forges) lets(ctx context.Context, r forge.Repository, p web.Person, need roster.Right) (bool, error) {
	switch {
	case need == roster.Read && f.conf.Public && r.Public:
		return true, nil
	case p.Forge != string(r.Kind) || p.Token == "":
		return false, nil
	case need == roster.Read:
		return f.reads(ctx, r, p.Token)
	case need != roster.Act:
		return false, nil
	}
	now, ok, err := f.who(ctx, p)
	if err != nil || !ok {
		return false, err
	}
	return f.keys(r.Kind).CanWrite(ctx, r, now)
}

// An adminList names people who run a server, by their forge and their number or login
// there.
type adminList []string

// Set adds one.
func (l *adminList) Set(text string) error {
	*l = append(*l, text)
	return l.check()
}

// check finds what names nobody.
func (l adminList) check() error {
	for _, one := range l {
		if err := checkAdmin(one); err != nil {
			return err
		}
	}
	return nil
}

func checkAdmin(text string) error {
	kind, who, _ := strings.Cut(text, "/")
	if kind != string(forge.GitHub) && kind != string(forge.GitLab) || who == "" || strings.ContainsFunc(who, func(r rune) bool { return r <= ' ' || r == '/' }) {
		return fmt.Errorf("%q is nobody: github/583231 or gitlab/ann are people", text)
	}
	return nil
}

// String lists them.
func (l *adminList) String() string { return strings.Join(*l, ",") }

// Type implements pflag.Value.
func (l *adminList) Type() string { return "person" }

// names reports whether a person is in the list. What looks like a number is one:
// logins may look so, too.
func (l adminList) names(p web.Person) bool {
	return slices.ContainsFunc(l, func(one string) bool {
		kind, who, _ := strings.Cut(one, "/")
		if kind != p.Forge {
			return false
		}
		if id, err := strconv.ParseInt(who, 10, 64); err == nil {
			return id == p.ID
		}
		return strings.EqualFold(who, p.Login)
	})
}

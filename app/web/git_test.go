package web_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/storage/roster"
)

// Words of what is shown to whom, as the rig's sites say it.
const (
	everything = "results"
	source     = "sources"
)

// fetch asks for the refs of a repository as a user, or as nobody.
func (r *rig) fetch(repository, user, password string) (status int, shown string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url+"/git/"+repository+"/info/refs", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if user+password != "" {
		req.SetBasicAuth(user, password)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		return resp.StatusCode, ""
	}
	return resp.StatusCode, map[string]string{
		repository + " /info/refs true": everything, repository + " /info/refs false": source,
	}[string(text)]
}

// An attempt sees sources, whoever reads the results of builds.
func TestGit(t *testing.T) {
	r := newRig(t)
	reader, _ := r.token(roster.Read, "shop")
	for _, tt := range []struct {
		user, password, repository string
		want                       int
		shown                      string
	}{
		{"attempt", "under way", "shop", 200, source},
		{"attempt", "under way", "bank", 401, ""},
		{"attempt", "over", "shop", 401, ""},
		{"attempt", reader, "shop", 401, ""},
		{"ann", reader, "shop", 200, everything},
		{"", reader, "shop", 200, everything},
		{"ann", reader, "bank", 401, ""},
		{"ann", "under way", "shop", 401, ""},
		{"", "", "shop", 401, ""},
		{"attempt", "under way", "nosuch", 401, ""},
	} {
		if got, shown := r.fetch(tt.repository, tt.user, tt.password); got != tt.want || shown != tt.shown {
			t.Errorf("%+v: %d %s", tt, got, shown)
		}
	}
}

// ushers are a forge's: they know who reads octo/world, and what they were asked.
type ushers struct {
	may   map[string]bool
	fails error
	asked []string
}

func (u *ushers) reads(_ context.Context, token string) (bool, error) {
	u.asked = append(u.asked, token)
	return u.may[token], u.fails
}

func newForgeRig(t *testing.T) (*rig, *ushers) {
	r, u := newRig(t), &ushers{may: map[string]bool{"of the forge": true}}
	r.front.Sites.Add(&web.Server{
		Site: &architect.Site{Name: "octo/world"}, Reads: u.reads,
		Git: func(w http.ResponseWriter, r *http.Request, results bool) {
			fmt.Fprint(w, "octo/world ", r.URL.Path, " ", results)
		},
	})
	return r, u
}

// Whom the forge lets in sees results. What is meant for this server, and the
// credentials of attempts, are not shown to the forge, nor is the forge asked about
// repositories that it does not have.
func TestGitByLeaveOfTheForge(t *testing.T) {
	r, u := newForgeRig(t)
	other, _ := r.token(roster.Read, "shop")
	own, _ := r.token(roster.Read, "octo/world")
	for _, tt := range []struct {
		user, password, repository string
		want                       int
		shown                      string
		asked                      int
	}{
		{"ann", "of the forge", "octo/world", 200, everything, 1},
		{"", "of the forge", "octo/world", 200, everything, 1},
		{"ann", "of a stranger", "octo/world", 401, "", 1},
		{"", "", "octo/world", 401, "", 1}, // is it for everybody?
		{"attempt", "of the forge", "octo/world", 401, "", 0},
		{"ann", "of the forge", "shop", 401, "", 0},
		{"ann", "of the forge", "octo/former", 401, "", 0},
		{"ann", own, "octo/world", 200, everything, 0},
		{"ann", other, "octo/world", 401, "", 0},
		{"ann", other + "x", "octo/world", 401, "", 0},
		{"ann", "vlr_x", "octo/world", 401, "", 0},
	} {
		u.asked = nil
		if got, shown := r.fetch(tt.repository, tt.user, tt.password); got != tt.want || shown != tt.shown || len(u.asked) != tt.asked {
			t.Errorf("%+v: %d %s, the forge was asked %q", tt, got, shown, u.asked)
		}
	}
	u.may[""] = true
	if got, shown := r.fetch("octo/world", "", ""); got != 200 || shown != everything {
		t.Errorf("for everybody: %d %s", got, shown)
	}
	u.fails = errors.New("no answer")
	if got, _ := r.fetch("octo/world", "ann", "of the forge"); got != 503 {
		t.Errorf("the forge does not answer: %d; want 503", got)
	}
}

// Whoever tries one token after the other is not passed on to the forge for ever.
// Those that it takes do not count, nor does it when git comes without one to ask
// whether it needs one.
func TestGitGuessing(t *testing.T) {
	r, u := newForgeRig(t)
	for range 30 {
		if got, _ := r.fetch("octo/world", "ann", "of the forge"); got != 200 {
			t.Fatalf("a token that is good: %d", got)
		}
		if got, _ := r.fetch("octo/world", "", ""); got != 401 {
			t.Fatalf("no token: %d", got)
		}
	}
	u.asked = nil
	status := 401
	for tries := 0; status == 401 && tries < 100; tries++ {
		status, _ = r.fetch("octo/world", "ann", fmt.Sprint("guess ", tries))
	}
	if status != 429 || len(u.asked) != 20 {
		t.Errorf("guessing ends with %d after %d questions; want 429 after 20", status, len(u.asked))
	}
	own, _ := r.token(roster.Read)
	if got, _ := r.fetch("octo/world", "ann", own); got != 200 {
		t.Errorf("a token of the server's own after that: %d; want 200", got)
	}
}

// Fetches of strangers are bounded, those of others are not.
func TestGitStrangers(t *testing.T) {
	r, u := newForgeRig(t)
	u.may[""] = true
	const most = 16
	in, out := make(chan struct{}), make(chan struct{})
	r.front.Sites.Add(&web.Server{
		Site:  &architect.Site{Name: "octo/slow"},
		Reads: func(context.Context, string) (bool, error) { return true, nil },
		Git:   func(http.ResponseWriter, *http.Request, bool) { in <- struct{}{}; <-out },
	})
	over := make(chan struct{})
	for range most {
		go func() {
			defer func() { over <- struct{}{} }()
			if resp, err := r.http.Get(r.url + "/git/octo/slow/info/refs"); err == nil {
				resp.Body.Close()
			}
		}()
		<-in
	}
	if got, _ := r.fetch("octo/world", "", ""); got != 503 {
		t.Errorf("one stranger more than %d: %d; want 503", most, got)
	}
	if got, _ := r.fetch("octo/world", "ann", "of the forge"); got != 200 {
		t.Errorf("somebody with a token beside them: %d; want 200", got)
	}
	close(out)
	for range most {
		<-over
	}
	if got, _ := r.fetch("octo/world", "", ""); got != 200 {
		t.Errorf("a stranger after them: %d; want 200", got)
	}
}

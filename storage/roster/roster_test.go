package roster_test

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/storage/git"
	"github.com/velocity-ci/velocity/storage/roster"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// A rig is a roster on a real repository and a clock that a test holds.
type rig struct {
	*roster.Roster
	dir string

	mu  sync.Mutex
	now time.Time
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{dir: t.TempDir(), now: noon}
	repo, err := git.MakeBare(t.Context(), r.dir)
	if err != nil {
		t.Fatal(err)
	}
	r.Roster = roster.Open(repo, func() time.Time { r.mu.Lock(); defer r.mu.Unlock(); return r.now })
	return r
}

func (r *rig) pass(d time.Duration) { r.mu.Lock(); defer r.mu.Unlock(); r.now = r.now.Add(d) }

func (r *rig) mint(t *testing.T, g roster.Registration) string {
	t.Helper()
	g.By = "ann"
	secret, _, err := r.Mint(t.Context(), g, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func (r *rig) issue(t *testing.T, token roster.Token) (string, roster.Token) {
	t.Helper()
	secret, made, err := r.Issue(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return secret, made
}

// machine is a builder; n makes its keys differ from others'.
func machine(name string, n byte) roster.Builder {
	return roster.Builder{
		Name: name, Public: "U" + strings.Repeat(string('A'+n), 55), Curve: "X" + strings.Repeat("A", 55),
		Labels: map[string]string{"os": "linux"}, Executors: []string{"docker"}, Program: "1.0",
	}
}

func TestRegister(t *testing.T) {
	r := newRig(t)
	secret := r.mint(t, roster.Registration{Labels: map[string]string{"pool": "a"}, Untrusted: true})
	got, err := r.Register(t.Context(), secret, machine("linux-1", 0))
	if err != nil {
		t.Fatal(err)
	}
	want := machine("linux-1", 0)
	want.Labels, want.Untrusted, want.Registered, want.By = map[string]string{"os": "linux", "pool": "a"}, true, noon, got.By
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("registered (-want +got)\n%s", diff)
	}
	if b, ok, err := r.Known(t.Context(), want.Public); err != nil || !ok || cmp.Diff(want, b) != "" {
		t.Errorf("Known = %v, %v, %v; want what was registered", b, ok, err)
	}
	if _, err := r.Register(t.Context(), secret, machine("linux-2", 1)); !errors.Is(err, roster.ErrRefused) {
		t.Errorf("the token a second time: %v; want refused", err)
	}
}

func TestRegisterRefuses(t *testing.T) {
	r := newRig(t)
	if _, err := r.Register(t.Context(), r.mint(t, roster.Registration{}), machine("taken", 0)); err != nil {
		t.Fatal(err)
	}
	var field *roster.FieldError
	broken := machine("x", 2)
	broken.Public = "UABC"
	longer := machine("x", 2)
	longer.Curve += "A"
	loud := machine("x", 2)
	loud.Labels = map[string]string{"os": "linux\nroot"}
	for _, tt := range []struct {
		what  string
		leave roster.Registration
		b     roster.Builder
		ok    func(error) bool
	}{
		{"a taken name", roster.Registration{}, machine("Taken", 1), func(err error) bool { return errors.Is(err, roster.ErrTaken) }},
		{"a taken key", roster.Registration{}, machine("other", 0), func(err error) bool { return errors.Is(err, roster.ErrTaken) }},
		{"another name than the token's", roster.Registration{Name: "gpu"}, machine("cpu", 1), func(err error) bool { return errors.As(err, &field) }},
		{"a key that is none", roster.Registration{}, broken, func(err error) bool { return errors.As(err, &field) }},
		{"a curve of too many letters", roster.Registration{}, longer, func(err error) bool { return errors.As(err, &field) }},
		{"a label of two lines", roster.Registration{}, loud, func(err error) bool { return errors.As(err, &field) }},
		{"a name that is an option", roster.Registration{}, machine("-rf", 1), func(err error) bool { return errors.As(err, &field) }},
		{"a name that is a path", roster.Registration{}, machine("../x", 1), func(err error) bool { return errors.As(err, &field) }},
	} {
		secret := r.mint(t, tt.leave)
		if _, err := r.Register(t.Context(), secret, tt.b); !tt.ok(err) {
			t.Errorf("%s: %v", tt.what, err)
		}
		name := "free" + strings.Repeat("x", len(tt.what))
		if tt.leave.Name != "" {
			name = tt.leave.Name
		}
		if _, err := r.Register(t.Context(), secret, machine(name, byte(len(tt.what)%20+3))); err != nil {
			t.Errorf("%s used the token up: %v", tt.what, err)
		}
	}
}

func TestRegistrationExpires(t *testing.T) {
	r := newRig(t)
	secret := r.mint(t, roster.Registration{})
	r.pass(time.Hour)
	if _, err := r.Register(t.Context(), secret, machine("late", 0)); !errors.Is(err, roster.ErrRefused) {
		t.Errorf("after an hour: %v; want refused", err)
	}
	// Its time is over: the next one that is made sweeps it out.
	r.mint(t, roster.Registration{})
	out, err := exec.Command("git", "-C", r.dir, "ls-tree", "-r", "--name-only", roster.Ref).Output()
	if err != nil || strings.Count(string(out), "registrations/") != 1 {
		t.Errorf("%s, %v; want one registration", out, err)
	}
}

// Of many that come with one token at the same time, exactly one is entered.
func TestRegisterRace(t *testing.T) {
	r := newRig(t)
	secret := r.mint(t, roster.Registration{})
	const machines = 8
	results := make(chan error, machines)
	for n := range byte(machines) {
		go func() {
			_, err := r.Register(context.WithoutCancel(t.Context()), secret, machine("m"+string('a'+n), n))
			results <- err
		}()
	}
	won := 0
	for range machines {
		switch err := <-results; {
		case err == nil:
			won++
		case !errors.Is(err, roster.ErrRefused):
			t.Error(err)
		}
	}
	all, err := r.Builders(t.Context())
	if won != 1 || len(all) != 1 || err != nil {
		t.Errorf("%d won, %d are entered, %v; want one", won, len(all), err)
	}
}

func TestTurns(t *testing.T) {
	r := newRig(t)
	if _, err := r.Register(t.Context(), r.mint(t, roster.Registration{}), machine("m", 0)); err != nil {
		t.Fatal(err)
	}
	state := func() roster.Builder {
		all, err := r.Builders(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		return all[0]
	}
	for _, step := range []struct {
		do               func(context.Context, string, string) error
		drained, revoked bool
	}{
		{r.Drain, true, false}, {r.Drain, true, false}, {r.Resume, false, false}, {r.Revoke, false, true},
	} {
		if err := step.do(t.Context(), "m", "ann\nRoot"); err != nil {
			t.Fatal(err)
		}
		if b := state(); b.Drained != step.drained || b.Revoked != step.revoked {
			t.Errorf("got %+v, want drained %v, revoked %v", b, step.drained, step.revoked)
		}
	}
	if _, ok, err := r.Known(t.Context(), machine("m", 0).Public); ok || err != nil {
		t.Errorf("a revoked builder is known: %v, %v", ok, err)
	}
	if err := r.Drain(t.Context(), "n", "ann"); !errors.Is(err, roster.ErrNone) {
		t.Errorf("drain nobody: %v", err)
	}
	out, err := exec.Command("git", "-C", r.dir, "log", "--format=%s", roster.Ref).Output()
	want := "builder m: revoked by ann Root\nbuilder m: resumed by ann Root\nbuilder m: drained by ann Root\nbuilder m: registered with "
	if err != nil || !strings.HasPrefix(string(out), want) {
		t.Errorf("history is\n%s(%v), want\n%s…", out, err, want)
	}
}

func TestTokens(t *testing.T) {
	r := newRig(t)
	want := roster.Token{Name: "ann", Rights: roster.Act, Repositories: []string{"shop"}, Expires: noon.Add(time.Hour), By: "root"}
	secret, made := r.issue(t, want)
	want.ID, want.Created = made.ID, noon
	got, err := r.Check(t.Context(), secret)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Check: %v (-want +got)\n%s", err, diff)
	}
	// Another good secret's random part behind this one's id.
	other, _ := r.issue(t, roster.Token{Name: "bob", Rights: roster.Read})
	for what, text := range map[string]string{
		"nothing": "", "another kind": r.mint(t, roster.Registration{}), "cut": secret[:len(secret)-1],
		"turned": roster.Mend(secret[:16] + other[16:]),
	} {
		if _, err := r.Check(t.Context(), text); !errors.Is(err, roster.ErrRefused) {
			t.Errorf("%s: %v; want refused", what, err)
		}
	}
	r.pass(time.Hour)
	if _, err := r.Check(t.Context(), secret); !errors.Is(err, roster.ErrRefused) {
		t.Errorf("expired: %v; want refused", err)
	}
	if _, err := r.Check(t.Context(), other); err != nil {
		t.Errorf("one without end: %v", err)
	}
	all, err := r.Tokens(t.Context())
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	for _, token := range all {
		if err := r.Withdraw(t.Context(), token.ID, "ann"); err != nil {
			t.Error(err)
		}
	}
	if _, err := r.Check(t.Context(), other); !errors.Is(err, roster.ErrRefused) {
		t.Errorf("revoked: %v; want refused", err)
	}
	if err := r.Withdraw(t.Context(), made.ID, "ann"); !errors.Is(err, roster.ErrNone) {
		t.Errorf("revoked twice: %v", err)
	}
}

// Nothing that opens anything is in the repository, which is backed up by cloning.
func TestSecretsAreNotStored(t *testing.T) {
	r := newRig(t)
	registration := r.mint(t, roster.Registration{})
	token, _ := r.issue(t, roster.Token{Name: "ann", Rights: roster.Admin})
	out, err := exec.Command("git", "-C", r.dir, "cat-file", "--batch-all-objects", "--batch", "--buffer").Output()
	if err != nil || !strings.Contains(string(out), `"hash"`) {
		t.Fatal(err, "nothing was searched")
	}
	for _, secret := range []string{registration, token} {
		if strings.Contains(string(out), secret[16:40]) {
			t.Errorf("the repository holds %s", secret)
		}
	}
}

func TestRights(t *testing.T) {
	scoped := roster.Token{Rights: roster.Act, Repositories: []string{"shop"}}
	for _, tt := range []struct {
		need roster.Right
		repo string
		want bool
	}{
		{roster.Read, "shop", true}, {roster.Act, "shop", true}, {roster.Admin, "shop", false},
		{roster.Read, "bank", false}, {roster.Read, "", false}, {"", "shop", false}, {"root", "shop", false},
	} {
		if got := scoped.May(tt.need, tt.repo); got != tt.want {
			t.Errorf("May(%q, %q) = %v", tt.need, tt.repo, got)
		}
	}
	if (roster.Token{}).May(roster.Read, "shop") {
		t.Error("a token without rights may read")
	}
}

func TestCheckForm(t *testing.T) {
	r := newRig(t)
	secret, _ := r.issue(t, roster.Token{Name: "ann", Rights: roster.Read})
	if err := roster.CheckForm(roster.TokenPrefix, secret); err != nil {
		t.Error(err)
	}
	for i := range secret {
		typo := secret[:i] + string("xy"[b2i(secret[i] == 'x')]) + secret[i+1:]
		err := roster.CheckForm(roster.TokenPrefix, typo)
		if err == nil || strings.Contains(err.Error(), typo[4:]) {
			t.Errorf("a typo at %d: %v", i, err)
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

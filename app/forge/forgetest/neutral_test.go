package forgetest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/velocity-ci/velocity/builder/require"
)

// within gives a test as long as it can need on a busy machine.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newBare(t *testing.T) *Bare {
	t.Helper()
	return must[*Bare](t)(NewBare(filepath.Join(t.TempDir(), "r.git"), "main"))
}

func TestARepositoryIsClonedOverHTTP(t *testing.T) {
	t.Parallel()
	str := must[string](t)
	b := newBare(t)
	first := str(b.Commit("refs/heads/main", "", Change{Files: map[string]string{"a": "1", "dir/b c": "2"}, At: time.Unix(1e9, 0)}))
	second := str(b.Commit("refs/heads/main", first, Change{Files: map[string]string{"a": "3"}, Remove: []string{"dir/b c"}, Message: "second"}))
	tag := str(b.Tag("v1", first, "one", time.Unix(1e9, 0)))
	if err := b.Put("refs/pull/1/head", first); err != nil {
		t.Fatal(err)
	}
	if got := str(b.Peel("refs/tags/v1")); got != first || tag == first {
		t.Errorf("the tag %s is of %s, want of %s", tag, got, first)
	}
	if !b.IsAncestor(first, second) || b.IsAncestor(second, first) {
		t.Error("the order of the commits is wrong")
	}
	if got, err := b.Changed(first, second); err != nil || !cmp.Equal(got, map[string]string{"a": "M", "dir/b c": "D"}) {
		t.Errorf("changed %v, %v", got, err)
	}
	log, err := b.Log(10, second)
	if err != nil || len(log) != 2 || log[0].Message != "second" || !cmp.Equal(log[0].Parents, []string{first}) {
		t.Errorf("log is %+v, %v", log, err)
	}

	server := httptest.NewServer(http.StripPrefix("/o/r.git", b))
	defer server.Close()
	clone := filepath.Join(t.TempDir(), "clone")
	for _, args := range [][]string{
		{"clone", "--quiet", server.URL + "/o/r.git", clone},
		{"-C", clone, "fetch", "--quiet", "origin", "refs/pull/1/head:refs/x"},
	} {
		cmd := exec.CommandContext(within(t), "git", args...)
		cmd.Env = environment()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v: %s", args, err, out)
		}
	}
	push := exec.CommandContext(within(t), "git", "-C", clone, "push", "origin", "HEAD:refs/heads/x")
	push.Env = environment()
	if out, err := push.CombinedOutput(); err == nil {
		t.Errorf("a push went through: %s", out)
	}
}

func TestRepositoriesTakeFromForksAndMerge(t *testing.T) {
	t.Parallel()
	str := must[string](t)
	base, fork := newBare(t), newBare(t)
	root := str(base.Commit("refs/heads/main", "", Change{Files: map[string]string{"a": "1"}}))
	if err := fork.Take(base, root, "refs/heads/main"); err != nil {
		t.Fatal(err)
	}
	theirs := str(fork.Commit("refs/heads/topic", root, Change{Files: map[string]string{"b": "1"}}))
	ours := str(base.Commit("refs/heads/main", root, Change{Files: map[string]string{"c": "1"}}))
	if err := base.Take(fork, theirs, "refs/pull/1/head"); err != nil {
		t.Fatal(err)
	}
	merged := str(base.Merge(ours, theirs, "merge", time.Unix(1e9, 0)))
	if got, err := base.Changed(ours, merged); err != nil || !cmp.Equal(got, map[string]string{"b": "A"}) {
		t.Errorf("the merge changes %v, %v", got, err)
	}
	if got := str(base.Resolve("refs/heads/none")); got != "" {
		t.Errorf("a ref that is not there points to %s", got)
	}
}

// post is what a receiver got.
func receiver(t *testing.T, status int) (*httptest.Server, func() []string) {
	t.Helper()
	got := make(chan string, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- string(body)
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return server, func() (all []string) {
		for len(got) > 0 {
			all = append(all, <-got)
		}
		return all
	}
}

func TestDeliveriesAreDelayedDoubledAndLost(t *testing.T) {
	t.Parallel()
	server, got := receiver(t, http.StatusAccepted)
	for _, c := range []struct {
		name string
		odds Odds
		want []string
		log  int
	}{
		{"fine", Odds{}, []string{"0", "1", "2"}, 3},
		{"doubled", Odds{Duplicated: 1}, []string{"0", "0", "1", "1", "2", "2"}, 6},
		{"dropped", Odds{Dropped: 1}, nil, 0},
		{"undelivered", Odds{Undelivered: 1}, nil, 3},
		{"delayed", Odds{Delayed: 1}, []string{"0", "1", "2"}, 3},
	} {
		s := NewSender(NewFaults(1, c.odds), 10*time.Second, new(Clock).Now)
		for _, body := range []string{"0", "1", "2"} {
			s.Send(Delivery{URL: server.URL, Event: "push", Body: []byte(body)})
		}
		if err := s.Settle(within(t)); err != nil {
			t.Fatal(err)
		}
		s.Close()
		if diff := cmp.Diff(c.want, got()); diff != "" {
			t.Errorf("%s: arrived (-want +got):\n%s", c.name, diff)
		}
		if len(s.Log()) != c.log {
			t.Errorf("%s: the log has %d entries, want %d", c.name, len(s.Log()), c.log)
		}
	}
}

func TestADelayedDeliveryIsOvertaken(t *testing.T) {
	t.Parallel()
	server, got := receiver(t, http.StatusInternalServerError)
	faults := NewFaults(1, Odds{Delayed: 1})
	s := NewSender(faults, 10*time.Second, new(Clock).Now)
	defer s.Close()
	s.Send(Delivery{URL: server.URL, Event: "push", Body: []byte("first")})
	faults.Set(Odds{})
	s.Send(Delivery{URL: server.URL, Event: "push", Body: []byte("second")})
	if err := s.Settle(within(t)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"second", "first"}, got()); diff != "" {
		t.Errorf("arrived (-want +got):\n%s", diff)
	}
	if log := s.Log(); log[0].Status != http.StatusInternalServerError || log[0].OK() {
		t.Errorf("the log says %+v", log[0])
	}
}

func TestFaultsAreTheSameForASeed(t *testing.T) {
	t.Parallel()
	odds := Odds{Refused: .2, Unanswered: .2, Cut: .2, Limited: .2}
	run := func(seed uint64) (kinds []Kind) {
		f := NewFaults(seed, odds)
		for i := range 200 {
			path := "/a"
			if i%2 == 1 {
				path = "/b"
			}
			kinds = append(kinds, f.call(httptest.NewRequest(http.MethodGet, path, nil)).Kind)
		}
		return kinds
	}
	if !slices.Equal(run(1), run(1)) {
		t.Error("the same seed had different faults")
	}
	if slices.Equal(run(1), run(2)) {
		t.Error("different seeds had the same faults")
	}
	for _, k := range []Kind{Fine, Refused, Unanswered, Cut, Limited} {
		if !slices.Contains(run(1), k) {
			t.Errorf("kind %d never came", k)
		}
	}
}

func TestTheGateRefusesLosesAndLogs(t *testing.T) {
	t.Parallel()
	folder := require.ForgeData(t)
	spec := must[*Spec](t)(LoadSpec(filepath.Join(folder, "openapi", "github-rest-cut.json")))
	applied := 0
	faults := NewFaults(1, Odds{})
	g := &gate{
		spec: spec, faults: faults, now: new(Clock).Now,
		api: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			applied++
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "{}")
		}),
		refuse: func(w http.ResponseWriter, err error) { http.Error(w, err.Error(), http.StatusUnprocessableEntity) },
		limit:  func(w http.ResponseWriter, m Mishap) { w.WriteHeader(m.Status) },
	}
	server := httptest.NewServer(g)
	defer server.Close()
	post := func(body string) int {
		resp, err := server.Client().Post(server.URL+"/repos/o/r/statuses/abc", "application/json", strings.NewReader(body))
		if err != nil {
			return 0
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	faults.Inject(OnCall(http.MethodPost, "/statuses/abc"),
		Mishap{}, Mishap{Kind: Refused}, Mishap{Kind: Unanswered}, Mishap{Kind: Cut}, Limits[1])
	var got []int
	for range 5 {
		got = append(got, post(`{"state":"success"}`))
	}
	if diff := cmp.Diff([]int{200, 503, 502, 0, 429}, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	if applied != 3 {
		t.Errorf("%d calls were applied, want 3", applied)
	}
	if len(g.Violations()) != 0 || len(g.Untrue()) == 0 {
		t.Errorf("violations %q, untrue %q: want none, and one for each empty answer", g.Violations(), g.Untrue())
	}
	if status := post(`{"state":"superb"}`); status != http.StatusUnprocessableEntity || len(g.Violations()) != 1 {
		t.Errorf("a state that does not exist was answered %d, violations %q", status, g.Violations())
	}
	if calls := g.Calls(); len(calls) != 6 || calls[3].Status != 0 || calls[5].Why == "" {
		t.Errorf("the log is %+v", calls)
	}
	if err := spec.CheckRequest(httptest.NewRequest(http.MethodGet, "/none", nil), nil); !errors.Is(err, ErrUnknown) {
		t.Errorf("a request that does not exist: %v", err)
	}
	if err := spec.CheckRequest(httptest.NewRequest(http.MethodGet, "/repos/o/r/git/ref/heads/a", nil), nil); !errors.Is(err, ErrUnknown) {
		t.Errorf("a path of more segments, not named as such: %v", err)
	}
}

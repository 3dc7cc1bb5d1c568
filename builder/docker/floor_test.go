package docker

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/client"
	"golang.org/x/mod/semver"

	"github.com/velocity-ci/velocity/builder/executor"
)

// The forms are those that engines and distributions were seen to tell.
func TestJudge(t *testing.T) {
	const engine = "29.5.1"
	for _, c := range []struct {
		engine, runc string
		want         []string // in the refusal; none: the engine is good
	}{
		{engine, "1.2.8", nil},
		{engine, "1.2.9", nil},
		{engine, "1.3.3", nil},
		{engine, "v1.3.3", nil},
		{engine, "1.4.0-rc.3", nil},
		{engine, "1.4.0-rc.10", nil},
		{engine, "1.4.0", nil},
		{engine, "1.5.0-rc.1", nil},
		{engine, "2.0.0", nil},
		{engine, "1.3.3+ds1-2", nil},
		{engine, "1.3.3-0ubuntu1~24.04.2", nil},
		{"29.5.1+dfsg1", "1.3.3", nil},
		{"30.0.0", "1.3.3", nil},

		{engine, "1.2.7", []string{"runc 1.2.7 (1.2.8, 1.3.3, 1.4.0-rc.3 or newer mends CVE-2025-31133,"}},
		{engine, "1.3.2", []string{"runc 1.3.2 "}},
		{engine, "1.4.0-rc.2", []string{"runc 1.4.0-rc.2 "}},
		{engine, "1.3.3-rc.1", []string{"runc 1.3.3-rc.1 "}},
		{engine, "1.1.15", []string{"runc 1.1.15 "}},
		{engine, "1.1.5+ds1-1+deb12u1", []string{"runc 1.1.5+ds1-1+deb12u1 ", "--engine-floor=off"}},
		{engine, "1.3.0-0ubuntu1~24.04.1", []string{"runc 1.3.0-0ubuntu1~24.04.1 "}},
		{"28.5.2", "1.3.3", []string{"Engine 28.5.2 (29.5.1 or newer mends CVE-2026-41567,"}},
		{"20.10.24+dfsg1", "1.1.5+ds1", []string{"Engine 20.10.24+dfsg1 ", "; ", "runc 1.1.5+ds1 "}},

		// What cannot be compared counts as older.
		{engine, "", []string{"runc of a version that the engine does not tell"}},
		{engine, "1.4.0~rc1+ds1", []string{`runc "1.4.0~rc1+ds1", which is not of a known form and counts as older`}},
		{engine, "1.4.0-rc3", []string{"not of a known form"}},
		{engine, "1.3.3-0.20251105-abcdef", []string{"not of a known form"}},
		{engine, "1.3", []string{"not of a known form"}},
		{engine, "1.03.3", []string{"not of a known form"}},
		{engine, "unknown", []string{"not of a known form"}},
		{engine, "1.3.3\n", []string{"not of a known form"}},
		{"dev", "1.3.3", []string{`Engine "dev"`}},
		{"19.03.15", "1.3.3", []string{`Engine "19.03.15"`}},
		{strings.Repeat("9", 10_000), "1.3.3", []string{`Engine "9999`}},
	} {
		err := judge(map[string]string{"Engine": c.engine, "runc": c.runc, "containerd": "whatever"})
		if err == nil != (c.want == nil) {
			t.Errorf("engine %.20q with runc %q: %v", c.engine, c.runc, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) || len(err.Error()) > 1000 {
				t.Errorf("engine %.20q with runc %q: %v; want %q", c.engine, c.runc, err, want)
			}
		}
	}
}

// What an engine says over its API is what is judged, and silence is no verdict.
func TestFloor(t *testing.T) {
	var said atomic.Pointer[types.Version]
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/version") {
			_ = json.NewEncoder(w).Encode(said.Load())
		}
	}))
	defer engine.Close()
	e, err := New(Config{Engine: []client.Opt{client.WithHost("tcp://" + engine.Listener.Addr().String())}})
	if err != nil {
		t.Fatal(err)
	}
	for runc, want := range map[string]string{"1.3.3": "", "1.3.2": "runc 1.3.2 "} {
		said.Store(&types.Version{Components: []types.ComponentVersion{{Name: "Engine", Version: "29.5.1"}, {Name: "runc", Version: runc}}})
		var old *executor.StartError
		switch err := e.Floor(t.Context()); {
		case want == "" && err != nil, want != "" && (!errors.As(err, &old) || !strings.Contains(old.What, want)):
			t.Errorf("Floor with runc %s = %v; want %q", runc, err, want)
		case errors.Is(err, executor.ErrEngine):
			t.Errorf("Floor with runc %s = %v, as if no engine answered", runc, err)
		}
	}
	engine.Close()
	if err := e.Floor(t.Context()); !errors.Is(err, executor.ErrEngine) {
		t.Errorf("Floor without an engine = %v; want it to be executor.ErrEngine", err)
	}
}

// A real engine names the parts that are judged.
func TestFloorOfARealEngine(t *testing.T) {
	if err := newExecutor(t, Limits{}).Floor(t.Context()); errors.Is(err, executor.ErrEngine) || err != nil && strings.Contains(err.Error(), "does not tell") {
		t.Errorf("Floor = %v", err)
	}
}

// Every row can be found in the documentation.
func TestFloorsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/builders.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range floors {
		for _, want := range append(strings.Split(f.mends, ", "), f.since...) {
			if !strings.Contains(string(page), want) {
				t.Errorf("docs/builders.md does not tell of %s %s", f.part, want)
			}
		}
	}
}

// No text that an engine might tell passes unless it begins with a number that does.
func FuzzVersion(f *testing.F) {
	for _, text := range []string{"1.3.3", "v1.4.0-rc.3", "1.1.5+ds1-1+deb12u1", "1.3.3-0ubuntu1~24.04.2", "1.4.0~rc1", "", "1.2.8-rc.0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		number, ok := upstream(text)
		if !ok {
			for _, floor := range floors {
				if floor.below(text) == "" {
					t.Errorf("%q is not of a known form, and is good", text)
				}
			}
			return
		}
		if !semver.IsValid("v"+number) || !strings.HasPrefix(strings.TrimPrefix(text, "v"), number) {
			t.Errorf("%q is %q", text, number)
		}
		for _, floor := range floors {
			if good := floor.below(text) == ""; good && semver.Compare("v"+number, "v"+floor.since[0]) < 0 {
				t.Errorf("%s %q is good, and is older than %s", floor.part, text, floor.since[0])
			}
		}
	})
}

package app

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
)

// agedEngine is an engine that only tells its age.
func agedEngine(t *testing.T, engine, runc string) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/_ping":
		case strings.HasSuffix(r.URL.Path, "/version"):
			fmt.Fprintf(w, `{"Components": [{"Name": "Engine", "Version": %q}, {"Name": "runc", "Version": %q}]}`, engine, runc)
		default:
			http.Error(w, `{"message": "there is none"}`, http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	return "tcp://" + server.Listener.Addr().String()
}

// A builder for code of strangers says from its first sign of life on that its engine
// is too old, and refuses what it is given all the same. Its operator may know better.
func TestOldEngineOfABuilder(t *testing.T) {
	y := newYamen(t)
	o := &outpost{home: t.TempDir()}
	if status := o.run(t.Context(), "a-token\n", "register", y.http.URL, "--name", "b1"); status != 0 {
		t.Fatalf("register ended with %d: %s", status, o.text())
	}
	old, untrusted := "DOCKER_HOST="+agedEngine(t, "29.5.1", "1.1.5+ds1-1+deb12u1"), "VELOCITY_BUILDER_UNTRUSTED=true"
	boot := ""
	for _, c := range []struct {
		name   string
		env    []string
		reason string // for taking nothing
	}{
		{"too old", []string{old, untrusted}, "runc 1.1.5+ds1-1+deb12u1 (1.2.8, 1.3.3, 1.4.0-rc.3 or newer mends CVE-2025-31133"},
		{"operator knows better", []string{old, untrusted, "VELOCITY_BUILDER_ENGINE_FLOOR=off"}, ""},
		{"new enough", []string{"DOCKER_HOST=" + agedEngine(t, "29.5.1", "1.3.3"), untrusted}, ""},
		{"for code that is trusted", []string{old}, ""},
	} {
		cmd := o.process(t, c.env...)
		p := <-y.here
		for p.Boot == boot { // the last words of the one before
			p = <-y.here
		}
		boot = p.Boot
		if !strings.Contains(p.Reason, c.reason) || p.Draining != (c.reason != "") {
			t.Errorf("%s: it takes nothing new: %q; want %q", c.name, p.Reason, c.reason)
		}
		if c.reason != "" {
			err := y.hub.Assign(t.Context(), "b1", dispatch.Assignment{
				Attempt: dispatch.Attempt{Build: build.ID{Store: "k3f9a2", Number: 1}, Task: "s0t0", Number: 1},
			})
			var refused *dispatch.RefusedError
			if !errors.As(err, &refused) || !strings.Contains(refused.Reason, "--engine-floor=off") {
				t.Errorf("%s: an assignment was answered with %v", c.name, err)
			}
		}
		stopProcess(t, cmd)
	}
	if n := strings.Count(o.text(), "code of strangers is refused here"); n != 2 {
		t.Errorf("two of the builders should tell it once in their logs; they said\n%s", o.text())
	}
}

// The doctor tells of an old engine, which is no problem where code of strangers does
// not come to, and says what to do.
func TestDoctorLooksAtTheAgeOfTheEngine(t *testing.T) {
	c := &cli{env: map[string]string{"HOME": t.TempDir()}}
	d := &doctor{c: c, conf: &serverConfig{State: t.TempDir()}}
	d.conf.Builder.Executor, d.conf.Builder.Embedded = "docker", "true"
	for runc, want := range map[string]symptom{
		"1.3.3": {Verdict: verdictFine, Found: "the engine answers, and is new enough for code of strangers"},
		"1.3.2": {Verdict: verdictWarning, Found: "the Docker engine is too old for code of strangers: runc 1.3.2 ", Mend: "update it; "},
	} {
		t.Setenv("DOCKER_HOST", agedEngine(t, "29.5.1", runc))
		got := d.docker(t.Context())[0]
		if got.Verdict != want.Verdict || !strings.HasPrefix(got.Found, want.Found) || !strings.HasPrefix(got.Mend, want.Mend) {
			t.Errorf("with runc %s: %+v; want %+v", runc, got, want)
		}
	}
}

package app_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// A stall is a kiosk whose server is a process that can be killed. Its address stays
// the same, and the builder is not killed with it.
type stall struct {
	*kiosk
	way *gateway
	cmd *exec.Cmd // the server; nil if there is none
}

func newStall(t *testing.T, blueprints map[string]string) *stall {
	t.Helper()
	s := &stall{kiosk: foundKiosk(t, blueprints, ""), way: newGateway(t)}
	s.write(".home/.gitconfig", gitConfig)
	s.url = s.way.url()
	t.Cleanup(s.kill)
	s.serve()
	s.builder()
	s.signIn()
	return s
}

// serve starts the server anew.
func (s *stall) serve() {
	s.t.Helper()
	s.said = newSpeech()
	y := &yard{t: s.t, root: s.root}
	s.cmd = y.command(s.root, "velocity", "serve", "--config", filepath.Join(s.root, "server.yml"))
	s.cmd.Stdout, s.cmd.Stderr = s.said, s.said
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	said := s.said
	if err := said.wait(atHome(s.t), func() bool { return listensAt.MatchString(said.text()) }); err != nil {
		s.t.Fatalf("the server does not listen: %v\n%s", err, said.text())
	}
	s.way.leadTo(listensAt.FindStringSubmatch(said.text())[1])
}

// kill ends the server without a word. Whoever asks for it finds nobody.
func (s *stall) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended
	_ = s.cmd.Wait()         // with that
	s.cmd = nil
	s.way.leadTo("")
	if s.t.Failed() {
		s.t.Logf("the server said:\n%s", s.said.text())
	}
}

// builder starts one, which ends with the test.
func (s *stall) builder() {
	s.t.Helper()
	home, said := s.t.TempDir(), newSpeech()
	token := regexp.MustCompile(`vlr_\S+`).FindString(s.must("builder", "token"))
	if status := run(s.t.Context(), home, token+"\n", said, "builder", "register", s.url, "--name", "b1", "--executor", "host"); status != 0 {
		s.t.Fatalf("builder register ended with %d: %s", status, said.text())
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		run(ctx, home, "", said, "builder", "run", "--disk-floor", "1", "--executor", "host")
	}()
	s.t.Cleanup(func() {
		cancel()
		<-over
		if s.t.Failed() {
			s.t.Logf("the builder said:\n%s", said.text())
		}
	})
}

// A log is followed while its server is killed, a proxy says that there is none, and
// another takes over: the page goes on by itself, within a line that is too long to
// be shown too, and each line is there once.
func TestFollowLogAcrossKill(t *testing.T) {
	middle, end := newGate(t), newGate(t)
	defer middle.open() // the builder waits for its steps
	defer end.open()
	s := newStall(t, map[string]string{"talk": `steps:
- type: run
  script: |
    i=0; while [ $i -lt 300 ]; do echo "line $i"; i=$((i+1)); done
    head -c 150000 /dev/zero | tr '\0' x
    read go <` + middle.path + `
    head -c 150000 /dev/zero | tr '\0' x; echo
    i=0; while [ $i -lt 300 ]; do echo "more $i"; i=$((i+1)); done
    read go <` + end.path + `
    printf 'without an end'
`})
	v := browse(s.kiosk)
	path := "/builds/" + s.start("talk") + "/log/s0t0"
	v.do(chromedp.Navigate(v.url+path), chromedp.WaitReady("#L301"))
	v.cut = true
	see(v, chromedp.Evaluate[bool]("window.stayed = true"))
	s.kill()
	v.await(`document.getElementById("more").textContent === "Connecting again"`)
	asked := make(chan struct{}, 100) // more than come
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		if strings.HasSuffix(r.URL.Path, "/live") {
			asked <- struct{}{}
		}
	}))
	defer proxy.Close()
	s.way.leadTo(proxy.Listener.Addr().String())
	<-asked
	s.serve()
	v.await(`document.getElementById("more").textContent === "Following"`)
	middle.open()
	v.do(chromedp.WaitReady("#L601"))
	end.open()
	v.do(chromedp.WaitVisible("#state .succeeded"))
	const lines = `[...document.querySelectorAll(".l")].map(l => l.id + " " + l.querySelector(".c").innerHTML)`
	if !see(v, chromedp.Evaluate[bool]("window.stayed === true")) {
		t.Error("the page was loaded again")
	}
	live := see(v, chromedp.Evaluate[[]string](lines))
	v.do(chromedp.Navigate(v.url+path), chromedp.WaitReady("#L602"))
	drawn := see(v, chromedp.Evaluate[[]string](lines))
	if len(live) != 602 || strings.Join(live, "\n") != strings.Join(drawn, "\n") {
		t.Errorf("followed, there are %d lines; loaded, %d", len(live), len(drawn))
	}
}

package app_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/velocity-ci/velocity/app"
)

// A kiosk is a server in this process with the repository shop, and somebody who
// looks at its pages. Steps wait at gates, which are opened by their names.
type kiosk struct {
	t      *testing.T
	root   string
	said   *speech
	url    string
	secret string // of a token
	http   *http.Client
}

// newKiosk is one whose repository has these blueprints.
func newKiosk(t *testing.T, blueprints map[string]string) *kiosk {
	t.Helper()
	k := foundKiosk(t, blueprints, "builder: {executor: host, capacity: 4}\n")
	k.serve()
	k.signIn()
	return k
}

// foundKiosk is one without a server, whose configuration has these lines too.
func foundKiosk(t *testing.T, blueprints map[string]string, config string) *kiosk {
	t.Helper()
	k := &kiosk{t: t, root: t.TempDir(), said: newSpeech()}
	k.write("server.yml", "state: state\nlisten: 127.0.0.1:0\nrepositories: [shop]\n"+config)
	k.write(".gitconfig", gitConfig)
	for name, text := range blueprints {
		k.write("shop/.velocityci/blueprints/"+name+".yml", text)
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"commit", "-qm", "Sell things"}} {
		k.git(args...)
	}
	k.secret = regexp.MustCompile(`vla_\w+`).FindString(k.must("token", "create", "ann", "--rights", "admin"))
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	k.http = &http.Client{Jar: jar}
	return k
}

// must runs a command with the server's configuration, and returns what it said.
func (k *kiosk) must(args ...string) string {
	k.t.Helper()
	var out bytes.Buffer
	if status := run(k.t.Context(), k.root, "", &out, append(args, "--config", filepath.Join(k.root, "server.yml"))...); status != 0 {
		k.t.Fatalf("velocity %s ended with %d: %s", strings.Join(args, " "), status, &out)
	}
	return out.String()
}

func (k *kiosk) signIn() {
	k.t.Helper()
	if status, text := k.post("/login", url.Values{"token": {k.secret}}); status != http.StatusOK {
		k.t.Fatalf("sign in: %d %s", status, text)
	}
}

// serve starts the server, which ends with the test.
func (k *kiosk) serve() {
	k.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		run(ctx, k.root, "", k.said, "serve", "--config", filepath.Join(k.root, "server.yml"))
	}()
	k.t.Cleanup(func() {
		cancel()
		<-over
		if k.t.Failed() {
			k.t.Logf("the server said:\n%s", k.said.text())
		}
	})
	if err := k.said.wait(atHome(k.t), func() bool { return listensAt.MatchString(k.said.text()) }); err != nil {
		k.t.Fatalf("the server does not listen: %v\n%s", err, k.said.text())
	}
	k.url = "http://" + listensAt.FindStringSubmatch(k.said.text())[1]
}

func (k *kiosk) write(name, text string) {
	k.t.Helper()
	path := filepath.Join(k.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		k.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kiosk) git(args ...string) {
	k.t.Helper()
	y := &yard{t: k.t, root: k.root}
	cmd := y.command(filepath.Join(k.root, "shop"), "git", args...)
	cmd.Env = append(cmd.Env, "HOME="+k.root)
	if out, err := cmd.CombinedOutput(); err != nil {
		k.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

// A gate is where a step waits, as read go <PATH, until it is opened.
type gate struct {
	t    *testing.T
	path string
	once sync.Once
}

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{t: t, path: filepath.Join(t.TempDir(), "gate")}
	if err := unix.Mkfifo(g.path, 0o600); err != nil {
		t.Fatal(err)
	}
	return g
}

// open lets the step pass that waits here, or will come here.
func (g *gate) open() {
	g.t.Helper()
	g.once.Do(func() {
		f, err := os.OpenFile(g.path, os.O_RDWR, 0) // does not wait for whoever reads
		if err != nil {
			g.t.Fatal(err)
		}
		g.t.Cleanup(func() { f.Close() }) // what was not read yet goes with the last who has it open
		if _, err := f.WriteString("go\n"); err != nil {
			g.t.Fatal(err)
		}
	})
}

func (k *kiosk) post(path string, form url.Values) (int, string) {
	k.t.Helper()
	req, err := http.NewRequestWithContext(k.t.Context(), http.MethodPost, k.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		k.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return k.do(req)
}

func (k *kiosk) open(path string) (int, string) {
	k.t.Helper()
	req, err := http.NewRequestWithContext(k.t.Context(), http.MethodGet, k.url+path, nil)
	if err != nil {
		k.t.Fatal(err)
	}
	return k.do(req)
}

func (k *kiosk) do(req *http.Request) (int, string) {
	k.t.Helper()
	resp, err := k.http.Do(req)
	if err != nil {
		k.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// start starts a build and returns its id.
func (k *kiosk) start(name string) string {
	k.t.Helper()
	var out bytes.Buffer
	status := app.Main(k.t.Context(), []string{"start", name, "--server", k.url}, app.Streams{In: strings.NewReader(""), Out: &out, Err: &out},
		[]string{"HOME=" + k.root, "PATH=" + os.Getenv("PATH"), "VELOCITY_TOKEN=" + k.secret})
	id := regexp.MustCompile(`\w{6}-\d+`).FindString(out.String())
	if status != 0 || id == "" {
		k.t.Fatalf("start ended with %d: %s", status, &out)
	}
	return id
}

// An event is one of a stream.
type event struct{ kind, id, data string }

// events reads the stream at an address, from the event behind one on, until see
// says that it has enough or the stream ends.
func (k *kiosk) events(path, last string, see func(event) (enough bool)) {
	k.t.Helper()
	if err := k.eventsUpTo(path, last, math.MaxInt64, see); err != nil {
		k.t.Fatal(err)
	}
}

// eventsUpTo is events of a connection that breaks off after so many bytes. It may be
// called by many at once.
func (k *kiosk) eventsUpTo(path, last string, bytes int64, see func(event) (enough bool)) error {
	ctx, cancel := context.WithCancel(atHome(k.t))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url+path, nil)
	if err != nil {
		return err
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := k.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || kind != "text/event-stream" {
		return fmt.Errorf("%s: %d, %s", path, resp.StatusCode, kind)
	}
	var e event
	lines := bufio.NewReader(io.LimitReader(resp.Body, bytes))
	for {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s broke off: %w", path, err)
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "event":
			e.kind = value
		case "id":
			e.id = value
		case "data":
			e.data = value
		case "":
			if e.kind != "" && see(e) {
				return nil
			}
			e = event{}
		}
	}
}

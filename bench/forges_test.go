package bench

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage"
	store "github.com/velocity-ci/velocity/storage/git"
)

// A town is a fake GitHub on loopback and a server, in a process of its own, that
// builds the repositories there.
type town struct {
	b     *testing.B
	hub   *forgetest.GitHub
	repos []*forgetest.Repo // each in an installation of its own: limits are for one
	next  int               // repository that is pushed to
	state string            // of the server
	url   string            // of the server
	pid   int               // of the server
}

// checkOf is the name of the check of a build.
const checkOf = "velocity / default"

// newTown has a pipeline of so many tasks of one step each, in every repository.
func newTown(b *testing.B, repos, tasks int, step string) *town {
	b.Helper()
	hub, err := forgetest.NewGitHub(forgetest.GitHubOptions{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(hub.Close)
	w := &town{b: b, hub: hub, state: filepath.Join(b.TempDir(), "state")}
	files := map[string]string{
		".velocityci/blueprints/noop.yml":   "steps:\n  - type: run\n    " + step + "\n",
		".velocityci/pipelines/default.yml": "stages:\n  - name: all\n    blueprints: [" + strings.TrimSuffix(strings.Repeat("noop, ", tasks), ", ") + "]\n",
	}
	for i := range repos {
		owner := fmt.Sprintf("owner%d", i)
		r := hub.CreateRepo(b, owner+"/world", forgetest.RepoOptions{})
		r.Push(b, "main", forgetest.Change{Author: owner, Files: files})
		hub.Install(b, owner, r)
		w.repos = append(w.repos, r)
	}
	w.serve()
	return w
}

// serve starts the server, and waits until it serves all repositories.
func (w *town) serve() {
	w.b.Helper()
	app, home := w.hub.App(w.b), w.b.TempDir()
	config := fmt.Sprintf("state: %s\nlisten: 127.0.0.1:0\ngithub: {url: %q, app: %d, key: app.pem, secret: secret}\n", w.state, w.hub.URL(), app.ID)
	for name, text := range map[string]string{"app.pem": app.PEM(), "secret": w.hub.HookSecret(), "server.yml": config} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			w.b.Fatal(err)
		}
	}
	p := launch(w.b, program(w.b), "serve", "--config", filepath.Join(home, "server.yml"))
	w.pid = p.cmd.Process.Pid
	w.url = "http://" + p.until(regexp.MustCompile(`listening.* address=(\S+)`))
	for range w.repos {
		p.until(regexp.MustCompile("repository is (served)"))
	}
	p.ignore()
	w.hub.SetHook(w.url + "/hooks/github")
}

// builder registers and starts one.
func (w *town) builder(capacity int) {
	w.b.Helper()
	state := filepath.Join(w.b.TempDir(), "builder")
	token, err := exec.Command(program(w.b), "builder", "token", "--state", w.state).Output()
	if err != nil {
		w.b.Fatal(err)
	}
	run(w.b, w.b.TempDir(), program(w.b), "builder", "register", w.url, "--token", strings.TrimSpace(string(token)), "--name", "b1", "--state", state)
	background(w.b, regexp.MustCompile("(.*)"), program(w.b), "builder", "run", "--state", state, "--executor", "host", "--capacity", fmt.Sprint(capacity))
}

// push pushes to the next repository, and waits until the check is complete.
func (w *town) push() (r *forgetest.Repo, sha string) {
	w.b.Helper()
	r = w.repos[w.next%len(w.repos)]
	w.next++
	sha = r.Push(w.b, "main", forgetest.Change{Message: fmt.Sprint("push ", w.next), Files: map[string]string{"n": fmt.Sprint(w.next)}})
	ctx, cancel := context.WithTimeout(w.b.Context(), 5*time.Minute)
	defer cancel()
	if c, err := w.hub.WaitCheck(ctx, sha, checkOf, forgetest.Concluded("success")); err != nil {
		w.b.Fatalf("%v; it is %+v", err, c)
	}
	return r, sha
}

// warm lets every installation have its token, and every mirror its first fetch.
func (w *town) warm() {
	w.b.Helper()
	for range w.repos {
		w.push()
	}
}

// asked is when the first request came that has these words in its body.
func (w *town) asked(words ...string) time.Time {
	w.b.Helper()
	ctx, cancel := context.WithTimeout(w.b.Context(), time.Minute)
	defer cancel()
	c, err := w.hub.WaitCall(ctx, func(c forgetest.Call) bool { // a call is listed once it is answered
		has := strings.Contains(c.Path, "/check-runs") && c.Method != http.MethodGet
		for _, word := range words {
			has = has && bytes.Contains(c.Body, []byte(word))
		}
		return has
	})
	if err != nil {
		w.b.Fatalf("%v that has %q", err, words)
	}
	return c.At
}

// built is the build of a commit, as the server's mirror has it.
func (w *town) built(r *forgetest.Repo, sha string) *build.Build {
	w.b.Helper()
	repo, err := store.Open(w.b.Context(), filepath.Join(w.state, "repositories", fmt.Sprintf("github-%d.git", r.ID())))
	if err != nil {
		w.b.Fatal(err)
	}
	builds := storage.Open(repo, time.Now)
	id, err := builds.Find(w.b.Context(), sha)
	if err != nil {
		w.b.Fatal(err)
	}
	made, _, err := builds.Build(w.b.Context(), id)
	if err != nil {
		w.b.Fatal(err)
	}
	return made
}

// stages are what a push waits for before its check is queued: how long after it was
// sent GitHub was asked for a token, had answered the last request of the fetch, and
// was asked whether it has such a check. What is there is told of the first such
// requests; that of the builder goes to the server.
func (w *town) stages(r *forgetest.Repo, sent, queued time.Time) (token, fetched, looked time.Duration) {
	repo := "/" + r.Name()
	for _, c := range w.hub.Calls() {
		switch at := c.At.Sub(sent); {
		case at < 0 || c.At.After(queued):
		case strings.HasSuffix(c.Path, "/access_tokens"):
			token = at
		case strings.HasPrefix(c.Path, repo+".git/"):
			fetched = at
		case strings.HasSuffix(c.Path, "/check-runs") && c.Method == http.MethodGet:
			looked = at
		}
	}
	return token, fetched, looked
}

// BenchmarkWebhook is the time from the moment when GitHub begins to send a push
// until it is asked to show the check as queued, and what of that had passed at each
// stage; and, as end-ms, from the end of the build's last task until it is asked to
// show the outcome. server-cpu-ms is what the server, with its git processes, takes
// for a whole build. The builder is a process that reached the server over a websocket.
func BenchmarkWebhook(b *testing.B) {
	w := newTown(b, 12, 1, `command: "true"`)
	w.builder(1)
	w.warm()
	var queued, ended, tokens, fetches, looks []sample
	before := cpuOfAll(b, w.pid)
	for b.Loop() {
		r, sha := w.push()
		sent, err := w.hub.Hooks.WaitDelivery(b.Context(), func(d forgetest.Delivery) bool {
			return d.Event == "push" && bytes.Contains(d.Body, []byte(sha))
		})
		if err != nil {
			b.Fatal(err)
		}
		asked := w.asked(sha, `"queued"`)
		queued = append(queued, sample{wall: asked.Sub(sent.Sent)})
		token, fetched, looked := w.stages(r, sent.Sent, asked)
		tokens, fetches, looks = append(tokens, sample{wall: token}), append(fetches, sample{wall: fetched}), append(looks, sample{wall: looked})
		made := w.built(r, sha)
		task := made.Stages[0].Tasks[0]
		ended = append(ended, sample{wall: w.asked(made.ID.String(), `"completed"`).Sub(task.Finished)})
	}
	spent := cpuOfAll(b, w.pid) - before
	report(b, queued)
	b.ReportMetric(milliseconds(spent)/float64(len(queued)), "server-cpu-ms")
	b.ReportMetric(milliseconds(median(tokens)), "token-ms")
	b.ReportMetric(milliseconds(median(fetches)), "fetched-ms")
	b.ReportMetric(milliseconds(median(looks)), "looked-ms")
	b.ReportMetric(milliseconds(median(ended)), "end-ms")
}

// BenchmarkBaselineForgeFetch is a git fetch of one new commit from the same fake
// GitHub: what git alone takes of the way from the webhook to the check.
func BenchmarkBaselineForgeFetch(b *testing.B) {
	hub, err := forgetest.NewGitHub(forgetest.GitHubOptions{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer hub.Close()
	r := hub.CreateRepo(b, "octo/world", forgetest.RepoOptions{})
	r.Push(b, "main", forgetest.Change{Files: map[string]string{"n": "0"}})
	mirror := filepath.Join(b.TempDir(), "mirror.git")
	git(b, b.TempDir(), "clone", "-q", "--mirror", r.CloneURL(), mirror)
	var samples []sample
	for b.Loop() {
		r.Push(b, "main", forgetest.Change{Files: map[string]string{"n": fmt.Sprint(len(samples) + 1)}})
		samples = append(samples, run(b, mirror, "git", "fetch", "-q", "origin"))
	}
	report(b, samples)
}

// BenchmarkForgeCalls counts what GitHub is asked for one build of a push, once the
// installation is known: requests of the App, those among them that write, and the
// points that GitHub counts for its secondary limit (5 for a write, 1 for another).
func BenchmarkForgeCalls(b *testing.B) {
	for _, pipeline := range []struct {
		tasks int
		step  string
	}{{2, `command: "true"`}, {2, `command: sleep 3`}, {20, `command: "true"`}, {20, `command: sleep 3`}} {
		name := strings.Trim(strings.TrimPrefix(pipeline.step, "command: "), `"`)
		b.Run(fmt.Sprintf("%d tasks of %s", pipeline.tasks, name), func(b *testing.B) {
			w := newTown(b, 1, pipeline.tasks, pipeline.step)
			w.builder(2)
			w.push()
			before := len(w.hub.Calls())
			n := 0
			for b.Loop() {
				w.push()
				n++
			}
			var calls, writes, tokens float64
			for _, c := range w.hub.Calls()[before:] {
				switch {
				case strings.Contains(c.Path, ".git/"):
					continue
				case strings.HasSuffix(c.Path, "/access_tokens"), c.Path == "/installation/token":
					tokens++
				case c.Method != http.MethodGet:
					writes++
				}
				calls++
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(calls/float64(n), "calls")
			b.ReportMetric(writes/float64(n), "writes")
			b.ReportMetric(tokens/float64(n), "tokens")
			b.ReportMetric((calls+4*(writes+tokens))/float64(n), "points")
		})
	}
}

// BenchmarkDeliveries is how many deliveries a server takes in a second, by HTTP and
// signed, each on disk before it is answered, while it works off what it took. They
// are of an event that nothing is done about. The baseline is one write and fsync
// of as many bytes.
func BenchmarkDeliveries(b *testing.B) {
	body := fmt.Appendf(nil, `{"action":"created","sender":{"id":1},"comment":%q}`, strings.Repeat("something that nobody reads; ", 260)) // 7.6 kB
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("%d at once", callers), func(b *testing.B) {
			w := newTown(b, 1, 1, `command: "true"`)
			sum := hmac.New(sha256.New, []byte(w.hub.HookSecret()))
			sum.Write(body)
			signature := "sha256=" + hex.EncodeToString(sum.Sum(nil))
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}}
			defer client.CloseIdleConnections()
			var n atomic.Int64
			var group errgroup.Group
			group.SetLimit(callers)
			for b.Loop() {
				group.Go(func() error { return deliver(client, w.url, signature, n.Add(1), body) })
			}
			if err := group.Wait(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(n.Load())/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
	b.Run("fsync", func(b *testing.B) {
		file, err := os.Create(filepath.Join(b.TempDir(), "file"))
		if err != nil {
			b.Fatal(err)
		}
		defer file.Close()
		for b.Loop() {
			if _, err := file.Write(body); err != nil {
				b.Fatal(err)
			}
			if err := file.Sync(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "syncs/s")
	})
}

// deliver sends one delivery and wants it to be taken.
func deliver(client *http.Client, url, signature string, number int64, body []byte) error {
	req, err := http.NewRequest(http.MethodPost, url+"/hooks/github", bytes.NewReader(body))
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": "commit_comment", "X-GitHub-Hook-ID": "1",
		"X-GitHub-Delivery": fmt.Sprintf("00000000-0000-4000-8000-%012d", number), "X-Hub-Signature-256": signature,
	} {
		req.Header.Set(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("answered %d: %s", resp.StatusCode, text)
	}
	return err
}

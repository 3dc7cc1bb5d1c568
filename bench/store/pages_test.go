package store

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A browser looks at the pages of a server process.
type browser struct {
	testing.TB
	url  string
	http *http.Client
}

// newBrowser serves a repository, and signs in. The server ends with the benchmark.
func newBrowser(b *testing.B, velocity, repo string) browser {
	b.Helper()
	state := filepath.Join(b.TempDir(), "state")
	token := run(b, "", nil, velocity, "token", "create", "bench", "--rights", "read", "--state", state).out
	cmd := exec.Command(velocity, "serve", "--repo", repo, "--state", state, "--listen", "127.0.0.1:0", "--no-builder")
	log, err := cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	drained := make(chan struct{})
	b.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-drained
		_ = cmd.Wait()
	})
	listens := regexp.MustCompile(`listening.* address=(\S+)`)
	lines := bufio.NewScanner(log)
	address := ""
	for address == "" && lines.Scan() {
		if found := listens.FindStringSubmatch(lines.Text()); found != nil {
			address = found[1]
		}
	}
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, log) // a full pipe would hold the server up
	}()
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.Fatal(err)
	}
	w := browser{TB: b, url: "http://" + address, http: &http.Client{Jar: jar}}
	resp, err := w.http.PostForm(w.url+"/login", url.Values{"token": {strings.TrimSpace(token)}})
	if err != nil {
		b.Fatal(err)
	}
	resp.Body.Close()
	return w
}

// get is how long a page took, and what it was.
func (w browser) get(path string) (time.Duration, string) {
	w.Helper()
	began := time.Now()
	resp, err := w.http.Get(w.url + path)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		w.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return time.Since(began), string(text)
}

// measure adds the first look at a page, the median of many more, and its size.
func (w browser) measure(t *table, name, path string) {
	first, text := w.get(path)
	t.add(name+", first look", ms, first.Seconds())
	t.add(name, ms, median(3*repeats, func() time.Duration {
		took, _ := w.get(path)
		return took
	}).Seconds())
	t.add(name+", size", kib, float64(len(text)))
}

// BenchmarkPages are the pages of repositories with very many builds, by HTTP from a
// server process:
//
//	go test -run '^$' -bench Pages -benchtime 1x -timeout 30m ./bench/store -builds 1000,10000,100000
func BenchmarkPages(b *testing.B) {
	velocity := filepath.Join(b.TempDir(), "velocity")
	run(b, "", nil, "go", "build", "-trimpath", "-o", velocity, "github.com/velocity-ci/velocity")
	t := &table{}
	for text := range strings.SplitSeq(*sizes, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 100 {
			b.Fatalf("-builds %q: %q is not a number of builds from 100", *sizes, text)
		}
		h, repo := newHistory(n, *seed, *withLogs), newRepo(b)
		t.begin(n)
		began := time.Now()
		generate(b, repo, h)
		t.add("generated in", ms, time.Since(began).Seconds())
		w := newBrowser(b, velocity, repo)
		id := func(number int) string { return fmt.Sprintf("%s-%d", storeID, number) }
		w.measure(t, "repositories", "/")
		w.measure(t, "builds", "/builds")
		w.measure(t, "builds before the middle", "/builds?before="+id(n/2))
		w.measure(t, "newest build", "/builds/"+id(n))
		w.measure(t, "build in the middle", "/builds/"+id(n/2))
		w.measure(t, "its events", "/builds/"+id(n/2)+"/events")
		w.measure(t, "builds of an author", "/builds?author="+url.QueryEscape(h.commits[0].author))
	}
	t.print(os.Stdout)
}

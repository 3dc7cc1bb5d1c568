package forgetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxQuestion bounds what a git client sends to fetch, in bytes: it is kept in
// memory, as CGI wants its length.
const maxQuestion = 32 << 20

// A Bare is a real bare repository. Its methods are safe for concurrent use as far
// as git's are.
type Bare struct{ dir string }

// NewBare makes an empty repository below a folder, whose HEAD is a branch of this
// short name.
func NewBare(dir, branch string) (*Bare, error) {
	b := &Bare{dir: dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if _, err := b.git(nil, nil, "init", "--quiet", "--bare", "--initial-branch="+branch, "."); err != nil {
		return nil, err
	}
	for _, setting := range [][2]string{
		{"uploadpack.allowAnySHA1InWant", "true"}, // as forges allow it
		{"uploadpack.allowFilter", "true"},
		{"http.receivepack", "false"},
		{"gc.auto", "0"},
		{"receive.denyNonFastForwards", "true"}, // of refs that are pushed in tests
		{"receive.denyDeletes", "true"},
	} {
		if _, err := b.git(nil, nil, "config", setting[0], setting[1]); err != nil {
			return nil, err
		}
	}
	return b, os.WriteFile(filepath.Join(dir, "hooks", "update"), []byte(resultsOnly), 0o700)
}

// resultsOnly is the hook that lets nothing be pushed but what Velocity keeps beside
// the work of people.
const resultsOnly = `#!/bin/sh
case $1 in
refs/notes/*|refs/velocity/*) ;;
*) echo "$1 is not pushed in tests" >&2; exit 1 ;;
esac
`

// Dir is the folder of the repository.
func (b *Bare) Dir() string { return b.dir }

// git runs git in the repository, with nothing of the user's configuration.
func (b *Bare) git(stdin io.Reader, env []string, args ...string) (string, error) {
	cmd := exec.Command("git", append([]string{"--git-dir=" + b.dir}, args...)...) //nolint:noctx // ends by itself, at once
	cmd.Dir = b.dir
	cmd.Env = append(environment(), env...)
	cmd.Stdin = stdin
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

func environment() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C", "TZ=UTC",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull,
	}
}

// A Change is what a commit does.
type Change struct {
	Message string            // "" is one made up of the names of the files
	Author  string            // name and e-mail address are made from it; "" is "octocat"
	Files   map[string]string // by path: the new contents
	Remove  []string          // paths
	At      time.Time         // of author and committer; zero is now
}

// Commit makes a commit on top of a parent ("" for none) and puts a ref, by its
// full name, on it, wherever the ref was before.
func (b *Bare) Commit(ref, parent string, c Change) (string, error) {
	var in bytes.Buffer
	fmt.Fprintf(&in, "commit %s\nmark :1\n", ref)
	name := c.Author
	if name == "" {
		name = "octocat"
	}
	if c.At.IsZero() {
		c.At = time.Now()
	}
	who := fmt.Sprintf("%s <%s@example.com> %d +0000", name, name, c.At.Unix())
	fmt.Fprintf(&in, "author %s\ncommitter %s\n", who, who)
	paths := sortedKeys(c.Files)
	message := c.Message
	if message == "" {
		message = "Change " + strings.Join(append(paths, c.Remove...), ", ")
	}
	fmt.Fprintf(&in, "data %d\n%s\n", len(message), message)
	if parent != "" {
		fmt.Fprintf(&in, "from %s\n", parent)
	}
	for _, path := range paths {
		fmt.Fprintf(&in, "M 100644 inline %s\ndata %d\n%s\n", path, len(c.Files[path]), c.Files[path])
	}
	for _, path := range c.Remove {
		fmt.Fprintf(&in, "D %s\n", path)
	}
	in.WriteString("\nget-mark :1\ndone\n")
	if parent == "" {
		if err := b.Delete(ref); err != nil { // or fast-import would continue there
			return "", err
		}
	}
	return b.git(&in, nil, "fast-import", "--quiet", "--force", "--done")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Tag makes an annotated tag and returns the id of the tag object.
func (b *Bare) Tag(name, commit, message string, at time.Time) (string, error) {
	when := fmt.Sprintf("%d +0000", at.Unix())
	who := []string{"GIT_COMMITTER_NAME=octocat", "GIT_COMMITTER_EMAIL=octocat@example.com", "GIT_COMMITTER_DATE=" + when}
	if _, err := b.git(nil, who, "tag", "-f", "-a", "-m", message, "--", name, commit); err != nil {
		return "", err
	}
	return b.Resolve("refs/tags/" + name)
}

// Merge makes the commit that merges head into base, or fails if they conflict.
func (b *Bare) Merge(base, head, message string, at time.Time) (string, error) {
	tree, err := b.git(nil, nil, "merge-tree", "--write-tree", base, head)
	if err != nil {
		return "", err
	}
	when := fmt.Sprintf("%d +0000", at.Unix())
	who := []string{
		"GIT_AUTHOR_NAME=forge", "GIT_AUTHOR_EMAIL=forge@example.com", "GIT_AUTHOR_DATE=" + when,
		"GIT_COMMITTER_NAME=forge", "GIT_COMMITTER_EMAIL=forge@example.com", "GIT_COMMITTER_DATE=" + when,
	}
	return b.git(nil, who, "commit-tree", tree, "-p", base, "-p", head, "-m", message)
}

// Put makes a ref, by its full name, point to an object.
func (b *Bare) Put(ref, object string) error {
	_, err := b.git(nil, nil, "update-ref", ref, object)
	return err
}

// Delete removes a ref, which may be gone already.
func (b *Bare) Delete(ref string) error {
	_, err := b.git(nil, nil, "update-ref", "-d", ref)
	return err
}

// Take copies a commit and all it needs from another repository, and puts a ref on
// it.
func (b *Bare) Take(from *Bare, commit, ref string) error {
	_, err := b.git(nil, nil, "fetch", "--quiet", "--no-tags", from.dir, "+"+commit+":"+ref)
	return err
}

// Resolve is the object that a ref points to; "" if there is no such ref.
func (b *Bare) Resolve(ref string) (string, error) {
	out, err := b.git(nil, nil, "rev-parse", "--quiet", "--verify", "--end-of-options", ref)
	if exit := new(exec.ExitError); errors.As(err, &exit) && exit.ExitCode() == 1 {
		return "", nil
	}
	return lastLine(out), err
}

// lastLine is a result without the marker that rev-parse of some releases repeats.
func lastLine(s string) string { return s[strings.LastIndexByte(s, '\n')+1:] }

// Peel is the commit that an object or ref is or points to; "" if there is none.
func (b *Bare) Peel(object string) (string, error) { return b.Resolve(object + "^{commit}") }

// Refs are the refs below a prefix such as "refs/heads/", by full name.
func (b *Bare) Refs(prefix string) (map[string]string, error) {
	out, err := b.git(nil, nil, "for-each-ref", "--format=%(objectname) %(refname)", prefix)
	if err != nil {
		return nil, err
	}
	refs := map[string]string{}
	for line := range strings.Lines(out) {
		object, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		refs[name] = object
	}
	return refs, nil
}

// A Log is what is known of a commit.
type Log struct {
	Commit, Tree string
	Parents      []string
	Author       string
	Email        string
	At           time.Time
	Message      string
}

// Log lists the commits that git's revisions select, newest first.
func (b *Bare) Log(limit int, revisions ...string) ([]Log, error) {
	args := append([]string{
		"log", fmt.Sprintf("--max-count=%d", limit),
		"--format=%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%B%x01", "--end-of-options",
	}, revisions...)
	out, err := b.git(nil, nil, args...)
	if err != nil {
		return nil, err
	}
	var logs []Log
	for entry := range strings.SplitSeq(out, "\x01") {
		fields := strings.Split(strings.TrimSpace(entry), "\x00")
		if len(fields) != 7 {
			continue
		}
		at, err := time.Parse(time.RFC3339, fields[5])
		if err != nil {
			return nil, fmt.Errorf("time of commit %s: %w", fields[0], err)
		}
		logs = append(logs, Log{
			Commit: fields[0], Tree: fields[1], Parents: strings.Fields(fields[2]),
			Author: fields[3], Email: fields[4], At: at, Message: strings.TrimSpace(fields[6]),
		})
	}
	return logs, nil
}

// Changed lists what differs between two commits: the status letter of git by path.
func (b *Bare) Changed(from, to string) (map[string]string, error) {
	args := []string{"diff-tree", "-r", "--no-renames", "--name-status", "-z"}
	if from == "" {
		args = append(args, "--root", "--no-commit-id", to)
	} else {
		args = append(args, from, to)
	}
	out, err := b.git(nil, nil, args...)
	if err != nil {
		return nil, err
	}
	changed := map[string]string{}
	fields := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	for i := 0; i+1 < len(fields); i += 2 {
		changed[fields[i+1]] = fields[i]
	}
	return changed, nil
}

// IsAncestor reports whether one commit is another, or before it.
func (b *Bare) IsAncestor(old, now string) bool {
	_, err := b.git(nil, nil, "merge-base", "--is-ancestor", old, now)
	return err == nil
}

// ServeHTTP answers a git client that fetches. The request's path is that within
// the repository, such as "/info/refs". Who may fetch is for the caller to decide.
func (b *Bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if pushes(r) {
		http.Error(w, "this repository is not pushed to here", http.StatusForbidden)
		return
	}
	b.serve(w, r)
}

// ServePush answers a git client that pushes notes, or other results. Who may is for
// the caller to decide.
func (b *Bare) ServePush(w http.ResponseWriter, r *http.Request) {
	b.serve(w, r, "REMOTE_USER=somebody", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http.receivepack", "GIT_CONFIG_VALUE_0=true")
}

// pushes reports whether a request of a git client is for a push.
func pushes(r *http.Request) bool {
	return r.URL.Query().Get("service") == "git-receive-pack" || strings.HasSuffix(r.URL.Path, "/git-receive-pack")
}

// httpBackend finds git's own CGI program. As a command of git it would be one more
// process for each request.
var httpBackend = sync.OnceValues(func() (string, error) {
	folder, err := exec.Command("git", "--exec-path").Output() //nolint:noctx // ends by itself, at once
	if err != nil {
		return "", fmt.Errorf("find git's programs: %w", err)
	}
	return exec.LookPath(filepath.Join(strings.TrimSpace(string(folder)), "git-http-backend"))
})

func (b *Bare) serve(w http.ResponseWriter, r *http.Request, env ...string) {
	question, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxQuestion))
	if err != nil {
		return // nobody is there to read an answer
	}
	backend, err := httpBackend()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	r = r.Clone(r.Context())
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(question)), int64(len(question)), nil
	r.URL.Path = "/" + filepath.Base(b.dir) + r.URL.Path
	(&cgi.Handler{
		Path: backend, Dir: b.dir,
		Env: append(append(environment(), env...),
			"GIT_PROJECT_ROOT="+filepath.Dir(b.dir), "GIT_HTTP_EXPORT_ALL=1", "GIT_PROTOCOL="+r.Header.Get("Git-Protocol")),
	}).ServeHTTP(w, r)
}

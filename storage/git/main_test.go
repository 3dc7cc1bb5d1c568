package git

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain lets tests start this binary again as a writer that may be killed.
func TestMain(m *testing.M) {
	if role := os.Getenv("VELOCITY_TEST_ROLE"); role != "" {
		if err := roles[role](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// gitEnv is a user's git without the machine's configuration.
var gitEnv = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
	"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=C", "GIT_COMMITTER_EMAIL=c@d",
	"GIT_AUTHOR_DATE=1700000000 +0200", "GIT_COMMITTER_DATE=1700000100 -0330")

// cli runs git as a user would, the oracle of many tests.
func cli(t testing.TB, dir string, args ...string) string {
	t.Helper()
	return cliInput(t, dir, "", args...)
}

func cliInput(t testing.TB, dir, stdin string, args ...string) string {
	t.Helper()
	out, err := tryCLI(dir, stdin, args...)
	if err != nil {
		t.Fatalf("git %s: %v", strings.Join(args, " "), err)
	}
	return out
}

func tryCLI(dir, stdin string, args ...string) (string, error) {
	cmd := exec.Command("git", append([]string{"-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always"}, args...)...)
	cmd.Dir, cmd.Env, cmd.Stdin = dir, gitEnv, strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, stderr.String())
	}
	return strings.TrimSuffix(string(out), "\n"), err
}

// newBare makes an empty bare repository.
func newBare(t testing.TB) (*Repository, string) {
	t.Helper()
	dir := filepath.Join(realTemp(t), "repo.git")
	cli(t, ".", "init", "--quiet", "--bare", dir)
	return open(t, dir), dir
}

// newWork makes a repository with a work tree and one commit of files.
func newWork(t testing.TB, files map[string]string) (*Repository, string) {
	t.Helper()
	dir := filepath.Join(realTemp(t), "work")
	cli(t, ".", "init", "--quiet", dir)
	commitFiles(t, dir, files)
	return open(t, dir), dir
}

func commitFiles(t testing.TB, dir string, files map[string]string) Hash {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	cli(t, dir, "add", "-A")
	cli(t, dir, "commit", "--quiet", "--allow-empty", "-m", "subject\n\nbody\n")
	return hash(t, cli(t, dir, "rev-parse", "HEAD"))
}

func realTemp(t testing.TB) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t testing.TB, dir string) *Repository {
	t.Helper()
	r, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatalf("Open(%q): %v", dir, err)
	}
	return r
}

func hash(t testing.TB, s string) Hash {
	t.Helper()
	h, err := ParseHash(s)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

var testTime = time.Unix(1_700_000_000, 0)

// spec is a commit by our usual identity.
func spec(tree Hash, message string, parents ...Hash) CommitSpec {
	return CommitSpec{Tree: tree, Parents: parents, Name: "Velocity", Email: "velocity@localhost", When: testTime, Message: message}
}

// oneFile adds a commit with one file to a batch.
func oneFile(t testing.TB, b *Batch, content string, parents ...Hash) Hash {
	t.Helper()
	tree, err := b.Tree([]TreeEntry{{Name: "file", Mode: ModeFile, Hash: b.Blob([]byte(content))}})
	if err != nil {
		t.Fatal(err)
	}
	return b.Commit(spec(tree, content+"\n", parents...))
}

// move writes one new commit to a ref.
func move(t testing.TB, r *Repository, ref string, old Hash, content string) Hash {
	t.Helper()
	b := r.NewBatch()
	h := oneFile(t, b, content, parentsOf(old)...)
	if err := r.Write(t.Context(), b, []RefUpdate{{Name: ref, Old: old, New: h}}); err != nil {
		t.Fatalf("Write(%s): %v", ref, err)
	}
	return h
}

func parentsOf(h Hash) []Hash {
	if h.IsZero() {
		return nil
	}
	return []Hash{h}
}

// fsck fails the test unless git finds the repository sound.
func fsck(t testing.TB, dir string) {
	t.Helper()
	if out, err := tryCLI(dir, "", "fsck", "--full", "--strict", "--no-dangling"); err != nil || out != "" {
		t.Fatalf("git fsck: %v: %s", err, out)
	}
}

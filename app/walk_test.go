package app_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/builder/require"
)

// VELOCITY_WALK names a repository of Velocity, by a path or an address. It is cloned
// into an empty folder, and the README's first command is given there with an empty home
// folder and nothing but Go, git and the system's own tools: it builds everything and
// runs all tests. The story readme.txt gives the other commands, and this one to a
// small repository.
func TestWalk(t *testing.T) {
	from := os.Getenv("VELOCITY_WALK")
	if from == "" {
		require.Have(t, "walk", errors.New("some minutes, and a repository to clone: VELOCITY_WALK=REPOSITORY"))
	}
	folder := t.TempDir()
	w := walker{t, strangersEnv(t, folder)}
	w.run(folder, "go", "telemetry", "off") // it has a process of its own, that would outlive the folder
	w.run(folder, "git", "clone", "-q", from, "clone")
	clone := filepath.Join(folder, "clone")
	w.run(clone, "sh", "-ec", firstCommand(t, filepath.Join(clone, "README.md")))
	note := w.run(clone, "git", "log", "--notes=velocity", "-1")
	if !strings.Contains(note, " default: succeeded push ") {
		t.Errorf("git shows no success:\n%s", note)
	}
	if left := w.run(clone, "git", "status", "--porcelain"); left != "" {
		t.Errorf("the build left in the work tree:\n%s", left)
	}
}

// strangersEnv is the environment of somebody who has just got the machine. Go may
// use what it fetched and built before, which spares minutes and a gigabyte.
func strangersEnv(t *testing.T, folder string) []string {
	t.Helper()
	env := []string{"HOME=" + filepath.Join(folder, "home"), "LANG=C.UTF-8"}
	path := []string{"/usr/bin", "/bin"}
	for _, program := range []string{"git", "go"} {
		at, err := exec.LookPath(program)
		if err != nil {
			t.Fatal(err)
		}
		path = slices.Insert(path, 0, filepath.Dir(at))
	}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY"} {
		value, err := exec.CommandContext(t.Context(), "go", "env", name).Output() //nolint:forbidigo // as people run it
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, name+"="+strings.TrimSpace(string(value)))
	}
	return append(env, "PATH="+strings.Join(path, ":"))
}

// firstCommand is what the README of a clone begins with.
func firstCommand(t *testing.T, readme string) string {
	t.Helper()
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	p, err := parsePage(readme, string(text))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(p.blocks, func(b block) bool { return b.language == "sh" })
	if i < 0 {
		t.Fatal("the README has no command")
	}
	return p.blocks[i].text
}

// A walker gives commands as a stranger would.
type walker struct {
	t   *testing.T
	env []string
}

func (w walker) run(folder string, command ...string) string {
	w.t.Helper()
	w.t.Log(command)
	cmd := exec.CommandContext(w.t.Context(), command[0], command[1:]...) //nolint:forbidigo // as people run it
	cmd.Dir, cmd.Env = folder, w.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("%v: %v\n%s", command, err, out)
	}
	return string(out)
}

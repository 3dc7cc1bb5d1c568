package app_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/builder/require"
)

// A member is one of the users who share a repository: not the owner of the
// others' files, and in one group with them.
type member struct {
	t    *testing.T
	uid  uint32
	home string
	path string // where velocity is, and the other programs
}

// groupOfAll is a group that nobody is in outside this test.
const groupOfAll = 61000

func (m member) command(dir, script string) *exec.Cmd {
	cmd := exec.Command("sh", "-euc", "umask 077; "+script)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + m.path, "HOME=" + m.home, "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.org",
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: m.uid, Gid: groupOfAll}}
	return cmd
}

// sh runs a script as the member, which must end well.
func (m member) sh(dir, script string) string {
	m.t.Helper()
	out, err := m.command(dir, script).CombinedOutput()
	if err != nil {
		m.t.Fatalf("uid %d: %s: %v\n%s", m.uid, script, err, out)
	}
	return string(out)
}

// newMembers makes two users with homes, and a folder for all of them.
func newMembers(t *testing.T) (a, b member, shared string) {
	t.Helper()
	if os.Geteuid() != 0 {
		require.Have(t, "root", errors.New("only root can be two users"))
	}
	root := t.TempDir()
	bin := filepath.Join(root, "bin")
	shared = filepath.Join(root, "shared")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	velocity := filepath.Join(bin, "velocity")
	if err := errors.Join(os.Chmod(filepath.Dir(root), 0o755), os.Mkdir(bin, 0o755), os.WriteFile(velocity, content, 0o755), //nolint:gosec // all shall run it
		os.Mkdir(shared, 0o777), os.Chown(shared, 0, groupOfAll), os.Chmod(shared, 0o2775)); err != nil { //nolint:gosec // all shall use it
		t.Fatal(err)
	}
	make := func(uid uint32, name string) member {
		home := filepath.Join(root, name)
		if err := errors.Join(os.Mkdir(home, 0o700), os.Chown(home, int(uid), groupOfAll)); err != nil {
			t.Fatal(err)
		}
		return member{t: t, uid: uid, home: home, path: bin + ":" + os.Getenv("PATH")}
	}
	return make(61001, "a"), make(61002, "b"), shared
}

const memberProject = `git init -q -b main clone; cd clone; mkdir -p .velocityci/blueprints .velocityci/pipelines
echo '{artifacts: [who], steps: [{type: run, script: id -u | tee who}]}' >.velocityci/blueprints/who.yml
echo 'stages: [{name: s, blueprints: [who]}]' >.velocityci/pipelines/default.yml
git add .; git commit -qm first; git remote add origin "$ORIGIN"`

// Two users of a group push to one repository: whoever's hook or server is there
// builds for both, in whatever order.
func TestSharedRepository(t *testing.T) {
	a, b, shared := newMembers(t)
	repo := filepath.Join(shared, "repo.git")
	a.sh(shared, "git init -q --bare -b main --shared=group repo.git; velocity hook install repo.git --executor host")
	for _, m := range []member{a, b} {
		m.sh(m.home, "ORIGIN="+repo+"; "+memberProject)
	}
	push := func(m member, branch string) string {
		t.Helper()
		return m.sh(filepath.Join(m.home, "clone"), "git commit -q --allow-empty -m "+branch+"; git push origin HEAD:"+branch+" 2>&1")
	}
	built := func(m member, branch string) {
		t.Helper()
		if out := push(m, branch); !strings.Contains(out, "default: succeeded 1/1") {
			t.Errorf("uid %d pushed %s and saw\n%s", m.uid, branch, out)
		}
	}
	// git itself refuses the other's repository until it is declared safe.
	out, err := b.command(filepath.Join(b.home, "clone"), "git push origin HEAD:main").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "safe.directory") {
		t.Errorf("a push to an undeclared repository: %v\n%s", err, out)
	}
	b.sh(b.home, "git config --global --add safe.directory "+repo)

	built(a, "one")
	built(b, "two") // its hook starts a server where the other's has been
	built(a, "three")
	t.Cleanup(func() { // the last hook's server ends by itself
		waitUntil(t, func() bool { return a.command(shared, "! test -s repo.git/velocity/lock").Run() == nil })
	})

	serve := a.command(shared, "exec velocity serve --repo repo.git")
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, func() bool {
		return a.command(shared, "test -S repo.git/velocity/sock && grep -q '^velocity serve ' repo.git/velocity/lock").Run() == nil
	})
	built(b, "four") // reaches the other's server
	if err := errors.Join(serve.Process.Signal(syscall.SIGTERM), serve.Wait()); err != nil {
		t.Errorf("serve: %v", err)
	}
	built(b, "five")
	for _, m := range []member{a, b} {
		if out := m.sh(shared, "velocity fsck --full --repo repo.git; velocity builds --repo repo.git"); strings.Count(out, "succeeded") != 5 {
			t.Errorf("uid %d sees\n%s", m.uid, out)
		}
		for build, by := range map[string]member{"1": a, "5": b} {
			if out := m.sh(shared, "velocity artifacts "+build+" who who --output - --repo repo.git"); out != fmt.Sprintln(by.uid) {
				t.Errorf("uid %d finds the artifact %q of build %s", m.uid, out, build)
			}
		}
	}
}

// waitUntil looks again and again, for two minutes: it is also called when the test's
// own context is over.
func waitUntil(t *testing.T, there func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(2 * time.Minute)
	for !there() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("what was waited for did not come")
		}
	}
}

package app_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/velocity-ci/velocity/builder/require"
)

// runner is the user whom GitHub's own runners are.
const runner = 1001

// handOver makes everything of the job another user's, as it is where a Docker action
// is root and the runner is not.
func (s *jobStep) handOver(uid int) {
	s.t.Helper()
	if os.Geteuid() != 0 {
		require.Have(s.t, "root", errors.New("only root can be two users"))
	}
	err := os.Chmod(filepath.Dir(s.folder), 0o755) // which tests have for themselves
	err = errors.Join(err, filepath.WalkDir(s.folder, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, uid, uid))
	}))
	if err != nil {
		s.t.Fatal(err)
	}
}

// foreign lists what is not the runner's.
func (s *jobStep) foreign() (all []string) {
	s.t.Helper()
	err := filepath.WalkDir(s.folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Sys().(*syscall.Stat_t).Uid != runner {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// As root the action goes on as the owner of the workspace: that is who steps are and
// whose files are left, and steps cannot read what the action was given.
func TestActionGoesOnAsOwner(t *testing.T) {
	t.Parallel()
	s := newStep(t, one(`echo "I am $(id -u):$(id -g) $(id -G)"
touch made
tr '\0' '\n' </proc/$PPID/environ || echo closed`))
	s.fresh()
	s.handOver(runner)
	r := s.run(map[string]string{"INPUT_PARAMETERS": ""})
	r.check(t, 0, succeeded)
	has(t, "the step", r.log.In("default"), "I am 1001:1001", "closed")
	hasNot(t, "the step", r.raw, "id-token", "ghs_")

	if err := os.Remove(filepath.Join(s.workspace, "made")); err != nil {
		t.Fatal(err)
	}
	r = s.run(map[string]string{"INPUT_RECORD": "true", "INPUT_PUBLISH": "none"})
	r.check(t, 0, map[string]string{"outcome": "succeeded", "build": r.outputs["build"]})
	if left := s.foreign(); len(left) > 0 {
		t.Errorf("the runner cannot change %q", left)
	}
	if r.outputs["build"] == "" {
		t.Error("nothing was recorded")
	}
}

// So it is where the runner runs the action as itself.
func TestActionOfRunner(t *testing.T) {
	t.Parallel()
	a, _, _ := newMembers(t)
	s := newStep(t, one("tr '\\0' '\\n' </proc/$PPID/environ || echo closed"))
	s.fresh()
	s.handOver(int(a.uid))
	cmd, stdout, stderr := s.command(nil)
	cmd.Path = filepath.Join(strings.Split(a.path, ":")[0], "velocity")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: a.uid, Gid: a.uid}}
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s%s", err, stdout, stderr)
	}
	r := s.result(cmd, stdout, stderr)
	r.check(t, 0, succeeded)
	has(t, "the step", r.log.In("default"), "closed")
}

// A checkout that somebody else made in the workspace is still the job's.
func TestActionTrustsWorkspace(t *testing.T) {
	t.Parallel()
	s := newStep(t, one("echo built"))
	s.handOver(runner)
	if err := os.Lchown(filepath.Join(s.workspace, ".git"), 1234, 1234); err != nil {
		t.Fatal(err)
	}
	s.run(nil).check(t, 0, succeeded)
}

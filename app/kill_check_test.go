package app_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/git"
)

// checkNotes asks for one line per push, ref and pipeline. Of a push whose hook was killed
// Velocity may know only by the branch, which a later push may have moved.
func (y *yard) checkNotes(pushes []push) {
	y.t.Helper()
	tips := map[string]string{}
	for _, line := range lines(y.must(y.bare, "git", "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads")) {
		ref, commit, _ := strings.Cut(line, " ")
		tips[ref] = commit
	}
	for _, push := range pushes {
		_, untold := y.untold.Load(push.id)
		for _, ref := range push.refs {
			for _, name := range yardPipelines {
				if got := y.notes(push.commit, ref, name); got > 1 || got == 0 && (!untold || tips[ref] == push.commit) {
					y.t.Errorf("push %s: commit %s has %d results of %s for %s (hook killed: %v); want 1", push.id, push.commit, got, name, ref, untold)
				}
			}
		}
	}
}

// notes counts the results that a commit has of a pipeline for a ref.
func (y *yard) notes(commit, ref, pipeline string) int {
	y.t.Helper()
	text, err := y.command(y.bare, "git", "notes", "--ref", storage.NotesRef, "show", commit).Output()
	if err != nil {
		return 0 // there is none
	}
	n := 0
	for _, line := range lines(string(text)) {
		note, err := storage.ParseNote(line)
		if err != nil {
			y.t.Errorf("commit %s: %v", commit, err)
		}
		if note.Ref == ref && note.Name == pipeline && note.Event == plan.EventPush {
			n++
		}
	}
	return n
}

func lines(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return c == '\n' })
}

// builds reads all builds with their moves.
func (y *yard) builds() map[*build.Build][]build.Move {
	y.t.Helper()
	repo, err := git.Open(y.t.Context(), y.bare)
	if err != nil {
		y.t.Fatal(err)
	}
	store := storage.Open(repo, time.Now)
	listed, err := store.Builds(y.t.Context(), storage.Query{Limit: 1 << 20})
	if err != nil {
		y.t.Error(err)
	}
	all := map[*build.Build][]build.Move{}
	for _, l := range listed {
		b, moves, err := store.Build(y.t.Context(), l.ID)
		if err != nil {
			y.t.Error(err)
			continue
		}
		all[b] = moves
	}
	return all
}

func tasks(b *build.Build) []build.Task {
	var all []build.Task
	for _, s := range b.Stages {
		all = append(all, s.Tasks...)
	}
	return all
}

// checkBuilds asks that every build is final, each task by one move, and that its
// events add up to it.
func (y *yard) checkBuilds() {
	y.t.Helper()
	attempts := map[int]int{}
	for b, moves := range y.builds() {
		if !b.State().Final() {
			y.t.Errorf("build %s is %s", b.ID, b.State())
		}
		ends := map[string]int{}
		for _, m := range moves {
			if m.Task != "" && m.Kind != build.StepMoved && m.To.Final() && !m.From.Final() {
				ends[m.Task]++
			}
		}
		for _, task := range tasks(b) {
			attempts[task.Attempt]++
			if task.State.Final() != (ends[task.Key] == 1) || ends[task.Key] > 1 {
				y.t.Errorf("build %s: task %s, %s, has %d final moves", b.ID, task.Key, task.State, ends[task.Key])
			}
		}
		y.replay(b, moves)
	}
	y.t.Logf("tasks by attempts: %v", attempts)
}

// replay compares a build with what its events make of it, both as stored.
func (y *yard) replay(b *build.Build, moves []build.Move) {
	y.t.Helper()
	again, err := build.Replay(moves)
	if err != nil {
		y.t.Errorf("build %s: %v", b.ID, err)
		return
	}
	want, err1 := storage.EncodeBuild(b)
	got, err2 := storage.EncodeBuild(again)
	if err := errors.Join(err1, err2); err != nil {
		y.t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		y.t.Errorf("build %s and its replayed events (-build +events):\n%s", b.ID, diff)
	}
}

// trace lists what the steps wrote: the attempts that were begun.
func (y *yard) trace() []string {
	y.t.Helper()
	text, err := os.ReadFile(filepath.Join(y.root, "trace"))
	if err != nil {
		y.t.Fatal(err)
	}
	return lines(string(text))
}

// checkTrace asks that no attempt ran twice, and that what succeeded has run.
func (y *yard) checkTrace() {
	y.t.Helper()
	ran := map[string]bool{}
	for _, line := range y.trace() {
		_, attempt, _ := strings.Cut(line, "/") // without the builder's name
		if ran[attempt] {
			y.t.Errorf("attempt %s ran twice", attempt)
		}
		ran[attempt] = true
	}
	for b := range y.builds() {
		for _, task := range tasks(b) {
			if attempt := fmt.Sprintf("%s/%s/%d", b.ID, task.Key, task.Attempt); task.State == build.Succeeded && !ran[attempt] {
				y.t.Errorf("attempt %s succeeded and never ran", attempt)
			}
		}
	}
}

// checkRefs asks that nothing waits, nothing is half done and nothing was broken.
func (y *yard) checkRefs() {
	y.t.Helper()
	for _, ref := range lines(y.must(y.bare, "git", "for-each-ref", "--format=%(refname)")) {
		for _, part := range []string{"/live/", "/inbox/", "/quarantine/"} {
			if strings.HasPrefix(ref, storage.RefPrefix) && strings.Contains(ref, part) {
				y.t.Errorf("%s is left", ref)
			}
		}
	}
	err := filepath.WalkDir(filepath.Join(y.bare, "refs"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if info, err := entry.Info(); err != nil || info.Size() == 0 || strings.HasSuffix(path, ".lock") {
			y.t.Errorf("%s is left: %v", path, err)
		}
		return nil
	})
	if err != nil {
		y.t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(y.bare, "velocity", "corrupt")); !errors.Is(err, fs.ErrNotExist) {
		y.t.Errorf("refs were put aside: %v", err)
	}
}

// fsck asks git whether the repository is whole.
func (y *yard) fsck() {
	y.t.Helper()
	cmd := y.command(y.bare, "git", "fsck", "--full", "--no-dangling", "--no-progress")
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "error") {
		y.t.Errorf("git fsck: %v\n%s", err, out)
	}
}

// checkProcesses asks that nothing of ours runs any more.
func (y *yard) checkProcesses() {
	y.t.Helper()
	y.eventually("all processes to end", func() bool { return len(y.processes()) == 0 })
	for _, s := range y.processes() {
		y.t.Errorf("process %d is left: %q", s.handle.Pid, s.args)
	}
}

// checkFolders asks that no workspace, spooled or running log is left.
func (y *yard) checkFolders() {
	y.t.Helper()
	for _, pattern := range []string{".home/.cache/velocity/*/work/*", ".home/.cache/velocity/*/spool/*", "repo.git/velocity/running/*/*"} {
		left, err := filepath.Glob(filepath.Join(y.root, pattern))
		if err != nil || len(left) > 0 {
			y.t.Errorf("left behind: %v %v", left, err)
		}
	}
}

//go:build linux

package chaos

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/git"
)

// invariants are what the checker asks for, in the words of the design.
var invariants = []struct{ name, says string }{
	{"I1", "each accepted push has one build, and it succeeded"},
	{"I2", "each task ended once, and no final state changed"},
	{"I3", "only the current attempt changed its task"},
	{"I5", "each log is whole: its lines, its length and its sum"},
	{"I7", "no process, workspace, log or lock is left"},
	{"I10", "git alone gives the same builds again, and is in order"},
	{"process", "no process ended by itself or refused to end"},
}

// A history is what the yard has recorded, as stored.
type history struct {
	y      *yard
	store  *storage.Store
	builds map[build.ID]*build.Build
	moves  map[build.ID][]build.Move
	ran    map[string][]string // what attempts noted of themselves, by builder/build/task/attempt
}

// recorded reads everything that was recorded.
func (y *yard) recorded() *history {
	y.t.Helper()
	repo, err := git.Open(y.t.Context(), y.bare)
	if err != nil {
		y.t.Fatal(err)
	}
	h := &history{
		y: y, store: storage.Open(repo, time.Now),
		builds: map[build.ID]*build.Build{}, moves: map[build.ID][]build.Move{}, ran: map[string][]string{},
	}
	for _, listed := range y.listed(1 << 20) {
		b, moves, err := h.store.Build(y.t.Context(), listed.ID)
		if err != nil {
			y.findings.add("I10", "build %s is listed: %v", listed.ID, err)
			continue
		}
		h.builds[b.ID], h.moves[b.ID] = b, moves
	}
	trace, err := os.ReadFile(y.trace)
	if err != nil {
		y.t.Fatal(err)
	}
	for line := range strings.Lines(string(trace)) {
		attempt, what, _ := strings.Cut(strings.TrimSpace(line), " ")
		h.ran[attempt] = append(h.ran[attempt], what)
	}
	return h
}

// tasks are those of a build, in order.
func tasks(b *build.Build) []build.Task {
	var all []build.Task
	for _, s := range b.Stages {
		all = append(all, s.Tasks...)
	}
	return all
}

func (h *history) check(pushes []push) {
	for _, p := range pushes {
		h.checkPush(p)
	}
	for id, b := range h.builds {
		h.checkMoves(id)
		for _, t := range tasks(b) {
			h.checkAttempts(b, t)
			h.checkLog(b, t)
		}
	}
	for attempt, noted := range h.ran {
		if noted[0] != "start" || slices.Index(noted[1:], "start") >= 0 {
			h.y.findings.add("I3", "attempt %s ran twice: %v", attempt, noted)
		}
	}
}

// checkPush asks git for the note of a push, and the history for its build.
func (h *history) checkPush(p push) {
	out, err := h.y.command(h.y.bare, "git", "notes", "--ref", storage.NotesRef, "show", p.commit).Output()
	if err != nil {
		h.y.findings.add("I1", "push %s: commit %s has no note: %v", p.ref, p.commit, err)
		return
	}
	var notes []storage.Note
	for line := range strings.Lines(string(out)) {
		note, err := storage.ParseNote(strings.TrimSuffix(line, "\n"))
		if err != nil {
			h.y.findings.add("I1", "push %s: %v", p.ref, err)
			continue
		}
		if note.Ref == p.ref && note.Event == plan.EventPush {
			notes = append(notes, note)
		}
	}
	if len(notes) != 1 {
		h.y.findings.add("I1", "push %s has %d results: %+v", p.ref, len(notes), notes)
		return
	}
	b := h.builds[notes[0].ID]
	if b == nil || b.State() != build.Succeeded || notes[0].State != build.Succeeded {
		h.y.findings.add("I1", "push %s: its note is %+v, its build %s %+v", p.ref, notes[0], notes[0].ID, b)
	}
}

// checkMoves walks the events of a build: a task ends once, and between an
// assignment and the next only that attempt, on that builder, moves it.
func (h *history) checkMoves(id build.ID) {
	type holder struct {
		attempt int
		builder string
	}
	held, over := map[string]holder{}, map[string]build.State{}
	for _, m := range h.moves[id] {
		if m.Task == "" {
			continue
		}
		if state, ended := over[m.Task]; ended {
			h.y.findings.add("I2", "build %s: task %s was %s, and then move %d: %s to %s", id, m.Task, state, m.Seq, m.Kind, m.To)
		}
		if m.Kind == build.Assign {
			held[m.Task] = holder{m.Attempt, m.Builder}
		}
		if now := held[m.Task]; m.Attempt != now.attempt || m.Builder != "" && m.Builder != now.builder {
			h.y.findings.add("I3", "build %s: move %d of task %s is %s by attempt %d of %q; attempt %d of %s is the current one",
				id, m.Seq, m.Task, m.Kind, m.Attempt, m.Builder, now.attempt, now.builder)
		}
		if m.Kind != build.StepMoved && m.To.Final() {
			over[m.Task] = m.To
		}
	}
	again, err := build.Replay(h.moves[id])
	if err != nil {
		h.y.findings.add("I10", "build %s: its events: %v", id, err)
		return
	}
	if stored, replayed := encoded(h.builds[id]), encoded(again); !bytes.Equal(stored, replayed) {
		h.y.findings.add("I10", "build %s and its replayed events differ:\n%s\n%s", id, stored, replayed)
	}
}

func encoded(b *build.Build) []byte {
	data, err := storage.EncodeBuild(b)
	if err != nil {
		return []byte(err.Error())
	}
	return data
}

// checkAttempts asks that what succeeded has run to its end, where it is said to
// have, and that no later attempt of it ran.
func (h *history) checkAttempts(b *build.Build, t build.Task) {
	current := 0
	for attempt, noted := range h.ran {
		identity, rest, _ := strings.Cut(attempt, "/")
		builder, _, _ := strings.Cut(identity, ".")
		switch {
		case rest == fmt.Sprintf("%s/%s/%d", b.ID, t.Key, t.Attempt):
			if current++; builder != t.Builder || !slices.Equal(noted, []string{"start", "end"}) {
				h.y.findings.add("I3", "build %s: task %s succeeded with attempt %d on %s; attempt %s noted %v", b.ID, t.Key, t.Attempt, t.Builder, attempt, noted)
			}
		case rest == fmt.Sprintf("%s/%s/%d", b.ID, t.Key, t.Attempt+1):
			h.y.findings.add("I3", "build %s: task %s has %d attempts, and %s ran", b.ID, t.Key, t.Attempt, attempt)
		}
	}
	if t.State == build.Succeeded && current != 1 {
		h.y.findings.add("I3", "build %s: attempt %d of task %s succeeded; %d attempts of this number ran", b.ID, t.Attempt, t.Key, current)
	}
}

// checkLog asks for every line that the attempt printed, and no other.
func (h *history) checkLog(b *build.Build, t build.Task) {
	if t.State != build.Succeeded {
		return // checkPush tells
	}
	text, _, err := h.store.Log(h.y.t.Context(), b.ID, t.Key, t.Attempt)
	if err != nil {
		h.y.findings.add("I5", "build %s: %v", b.ID, err)
		return
	}
	if sum := sha256.Sum256(text); int64(len(text)) != t.Log.Bytes || hex.EncodeToString(sum[:]) != t.Log.SHA256 {
		h.y.findings.add("I5", "build %s: the log of task %s has %d bytes, its result says %+v", b.ID, t.Key, len(text), t.Log)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	who := strings.TrimPrefix(first, "line 0 of ")
	if !strings.HasPrefix(who, t.Builder+".") || !strings.HasSuffix(who, fmt.Sprintf("/%s/%s/%d", b.ID, t.Key, t.Attempt)) {
		h.y.findings.add("I3", "build %s: the log of task %s, attempt %d on %s, begins with %q", b.ID, t.Key, t.Attempt, t.Builder, first)
		return
	}
	var want strings.Builder
	for i := range printed[t.Name] {
		fmt.Fprintf(&want, "line %d of %s\n", i, who)
	}
	if want.String() != string(text) {
		h.y.findings.add("I5", "build %s: the log of task %s is not what its attempt printed: %d bytes of %d", b.ID, t.Key, len(text), want.Len())
	}
}

// checkLeft asks that nothing of the work is left: while the machines still run,
// which they shall clean up themselves.
func (y *yard) checkLeft() {
	running := map[int]bool{}
	for _, m := range y.machines() {
		running[m.life.cmd.Process.Pid] = true
	}
	left := func() (all []string) {
		for _, p := range y.processes() {
			if !running[p.handle.Pid] {
				all = append(all, fmt.Sprintf("process %d: %s", p.handle.Pid, p.args))
			}
		}
		for _, pattern := range []string{"b*/work/*", "b*/spool/*", "repo.git/velocity/running/*/*"} {
			found, err := filepath.Glob(filepath.Join(y.root, pattern))
			if err != nil {
				y.t.Error(err)
			}
			all = append(all, found...)
		}
		return all
	}
	// Leftovers are looked for once a minute.
	if !eventually(75*time.Second, func() bool { return len(left()) == 0 }) {
		y.findings.add("I7", "left behind: %q", left())
	}
}

// checkRefs asks git for what waits, is half done or was put aside.
func (y *yard) checkRefs() {
	for ref := range strings.Lines(y.must(y.bare, "git", "for-each-ref", "--format=%(refname)")) {
		for _, part := range []string{"/live/", "/inbox/", "/quarantine/"} {
			if strings.HasPrefix(ref, storage.RefPrefix) && strings.Contains(ref, part) {
				y.findings.add("I7", "%s is left", strings.TrimSpace(ref))
			}
		}
	}
	if out, err := y.command(y.root, y.program, "fsck", "--repo", y.bare).CombinedOutput(); err != nil {
		y.findings.add("I10", "velocity fsck: %v\n%s", err, out)
	}
	if out, err := y.command(y.bare, "git", "fsck", "--full", "--no-dangling", "--no-progress").CombinedOutput(); err != nil {
		y.findings.add("I10", "git fsck: %v\n%s", err, out)
	}
}

package storage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

// A batch turns changes into one pack and one move of refs. Nothing of the
// ledger's changes before both are durable.
type batch struct {
	l       *Ledger
	objects *git.Batch
	order   []int64
	staged  map[int64]*staged
	settled []string
	tips    map[string]plan.Commit // nil if they stay
	marks   []build.Mark           // nil if they stay
	reports map[string][]byte      // by their paths on the desk; nil if they stay
	owed    map[string][]byte      // likewise, of the outbox; a nil record goes
}

// staged is a build with the changes of this batch.
type staged struct {
	kept
	before git.Hash // its commit in the repository
	moves  []build.Move
	logs   []git.TreeEdit // within the folder of logs

	archived bool // it was folded, and is to have notices
}

func newBatch(l *Ledger) *batch {
	return &batch{l: l, objects: l.repo.NewBatch(), staged: map[int64]*staged{}}
}

func (b *batch) add(e entry) error {
	if e.report != nil {
		if b.reports == nil {
			b.reports = map[string][]byte{}
		}
		b.reports[e.path] = e.report
	}
	if e.owed.path != "" {
		if b.owed == nil {
			b.owed = map[string][]byte{}
		}
		b.owed[e.owed.path] = e.owed.data
	}
	if e.notice != nil {
		if err := b.addNotice(e.notice); err != nil {
			return fmt.Errorf("notice of build %s: %w", e.notice.id, err)
		}
	}
	return b.addChange(e.change)
}

func (b *batch) addChange(c build.Change) error {
	for _, id := range c.Settled {
		if !slices.Contains(b.settled, id) {
			b.settled = append(b.settled, id)
		}
	}
	b.addTips(c.Tips)
	if c.Marks != nil {
		b.marks = c.Marks
	}
	if c.Build == nil {
		return nil
	}
	if err := b.addBuild(c); err != nil {
		return fmt.Errorf("build %s: %w", c.Build.ID, err)
	}
	return nil
}

func (b *batch) addTips(tips map[string]plan.Commit) {
	for ref, c := range tips {
		if b.tips == nil {
			b.tips = maps.Clone(b.l.tips)
		}
		if b.tips == nil {
			b.tips = map[string]plan.Commit{}
		}
		if c.Zero() {
			delete(b.tips, ref)
		} else {
			b.tips[ref] = c
		}
	}
}

// addBuild takes the moves of a build, which must follow those recorded before:
// a gap would make the event log worthless.
func (b *batch) addBuild(c build.Change) error {
	if c.Build.ID.Store != b.l.store {
		return fmt.Errorf("it is not of store %s", b.l.store)
	}
	if b.tooLate(c) {
		if _, err := b.late(c.Build.ID); err != nil {
			return err
		}
	}
	s := b.stage(c.Build.ID)
	for _, m := range c.Moves {
		if m.Seq != s.seq+1 {
			return fmt.Errorf("move %d follows move %d", m.Seq, s.seq)
		}
		s.seq++
	}
	if c.Build.Seq != s.seq {
		return fmt.Errorf("its state is that of move %d, its moves end with %d", c.Build.Seq, s.seq)
	}
	lines, err := encodeMoves(c.Moves)
	if err != nil {
		return err
	}
	s.events = append(s.events, lines...)
	s.moves = append(s.moves, c.Moves...)
	s.build = c.Build
	return b.addFiles(s, c)
}

// stage is the build as the batch has it so far.
func (b *batch) stage(id build.ID) *staged {
	s := b.staged[id.Number]
	if s != nil {
		return s
	}
	s = &staged{kept: kept{stand: stand{id: id}}}
	if k := b.l.builds[id.Number]; k != nil {
		s.kept, s.before = *k, k.head
		s.events, s.entries = slices.Clip(k.events), slices.Clone(k.entries) // the ledger's stay as they are
	}
	b.staged[id.Number] = s
	b.order = append(b.order, id.Number)
	return s
}

// addFiles adds what is not state: the plan, and the logs from the disk.
func (b *batch) addFiles(s *staged, c build.Change) error {
	if c.Plan != nil {
		data, err := c.Plan.Encode()
		if err != nil {
			return err
		}
		s.put(git.TreeEntry{Name: planFile, Mode: git.ModeFile, Hash: b.objects.Blob(data)})
	}
	for _, log := range c.Logs {
		if err := b.addLog(s, logName(log.Task, log.Attempt), log.Text); err != nil {
			return fmt.Errorf("read log of task %s: %w", log.Task, err)
		}
		if log.Times == "" {
			continue
		}
		if err := b.addLog(s, timesName(log.Task, log.Attempt), log.Times); err != nil {
			return fmt.Errorf("read log of task %s: %w", log.Task, err)
		}
	}
	return nil
}

func (b *batch) addLog(s *staged, name, path string) error {
	var data []byte
	if path != "" {
		var err error
		if data, err = os.ReadFile(path); err != nil {
			return err
		}
	}
	for i, part := range split(data) {
		s.logs = append(s.logs, git.TreeEdit{Path: partName(name, i), Mode: git.ModeFile, Hash: b.objects.Blob(part)})
	}
	return nil
}

// put sets an entry of the build's tree.
func (k *kept) put(entry git.TreeEntry) {
	i := slices.IndexFunc(k.entries, func(e git.TreeEntry) bool { return e.Name == entry.Name })
	if i < 0 {
		k.entries = append(k.entries, entry)
		return
	}
	k.entries[i] = entry
}

// logsTree is the tree of the build's logs; Zero if there is none.
func (k *kept) logsTree() git.Hash {
	for _, e := range k.entries {
		if e.Name == logsFolder {
			return e.Hash
		}
	}
	return git.Zero
}

// write makes the batch durable and then the ledger's.
func (b *batch) write(ctx context.Context) error {
	var updates []git.RefUpdate
	for _, n := range b.order {
		s := b.staged[n]
		if err := b.commit(s); err != nil {
			return fmt.Errorf("build %s: %w", s.id, err)
		}
		if !s.archived {
			updates = append(updates, git.RefUpdate{Name: liveRef(s.id), Old: s.before, New: s.head})
		}
	}
	again, err := b.rearchive()
	if err != nil {
		return err
	}
	updates = append(updates, again.updates...)
	desk := b.l.desk
	if b.tips != nil || b.marks != nil || b.reports != nil || b.owed != nil {
		if desk, err = b.commitDesk(); err != nil {
			return err
		}
		if desk != b.l.desk {
			updates = append(updates, git.RefUpdate{Name: storeRef(b.l.store, "desk"), Old: b.l.desk, New: desk})
		}
	}
	settled, err := b.leaveInbox()
	if err != nil {
		return err
	}
	if updates = append(updates, settled...); len(updates) == 0 {
		return nil
	}
	b.l.written++
	if err := b.l.repo.Write(ctx, b.objects, updates); err != nil {
		return explain(err)
	}
	for _, n := range b.order {
		if s := b.staged[n]; !s.archived {
			b.l.builds[n] = &s.kept
		}
	}
	b.l.desk = desk
	if b.tips != nil {
		b.l.tips = b.tips
	}
	return nil
}

// explain says what a ref that moved means here.
func explain(err error) error {
	if errors.Is(err, git.ErrRefMoved) {
		return fmt.Errorf("somebody else wrote to this store: %w", err)
	}
	return err
}

// commit adds the objects of one build.
func (b *batch) commit(s *staged) error {
	if err := s.putState(b.objects); err != nil || s.archived {
		return err
	}
	if len(s.logs) > 0 {
		logs, err := b.objects.EditTree(s.logsTree(), s.logs)
		if err != nil {
			return err
		}
		s.put(git.TreeEntry{Name: logsFolder, Mode: git.ModeTree, Hash: logs})
	}
	var err error
	if s.tree, err = b.objects.Tree(s.entries); err != nil {
		return err
	}
	spec := b.l.commit(s.tree, message(s.build, s.moves, b.l.writer))
	if !s.before.IsZero() {
		spec.Parents = []git.Hash{s.before}
	}
	s.head = b.objects.Commit(spec)
	return nil
}

// ourAddress marks the commits of ours.
const ourAddress = "velocity@localhost"

// commit is a commit of ours without parents.
func (s *Store) commit(tree git.Hash, message string) git.CommitSpec {
	return git.CommitSpec{Tree: tree, Name: "Velocity", Email: ourAddress, When: s.now(), Message: message}
}

// commitDesk adds the new desk.
func (b *batch) commitDesk() (git.Hash, error) {
	var edits []git.TreeEdit
	var said []string
	if b.tips != nil {
		data, err := encodeTips(b.tips)
		if err != nil {
			return git.Zero, err
		}
		edits = append(edits, git.TreeEdit{Path: tipsFile, Mode: git.ModeFile, Hash: b.objects.Blob(data)})
		said = append(said, fmt.Sprintf("%d tips", len(b.tips)))
	}
	if b.marks != nil {
		data, err := encodeMarks(b.marks)
		if err != nil {
			return git.Zero, err
		}
		edits = append(edits, git.TreeEdit{Path: schedulesFile, Mode: git.ModeFile, Hash: b.objects.Blob(data)})
		said = append(said, fmt.Sprintf("%d schedules", len(b.marks)))
	}
	if b.reports != nil {
		reports, err := b.editReports()
		if err != nil {
			return git.Zero, err
		}
		edits = append(edits, reports...)
		said = append(said, fmt.Sprintf("%d reports", len(b.reports)))
	}
	if b.owed != nil {
		owed, err := b.editOutbox()
		if err != nil {
			return git.Zero, err
		}
		if len(edits)+len(owed) == 0 {
			return b.l.desk, nil // it was gone already
		}
		edits = append(edits, owed...)
		said = append(said, fmt.Sprintf("what plugins are told of %d builds", len(b.owed)))
	}
	return b.l.editDesk(b.objects, b.l.desk, edits, strings.Join(said, ", "))
}

// leaveInbox drops the settled triggers. Those that are gone already were
// settled before.
func (b *batch) leaveInbox() ([]git.RefUpdate, error) {
	var updates []git.RefUpdate
	for _, id := range b.settled {
		name := inboxRef(b.l.store, id)
		h, err := b.l.repo.Ref(name)
		if errors.Is(err, git.ErrRefNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		updates = append(updates, git.RefUpdate{Name: name, Old: h})
	}
	return updates, nil
}

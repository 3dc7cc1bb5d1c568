package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/velocity-ci/velocity/storage/git"
)

// foldTries bounds the retries when others write notes at the same time.
const foldTries = 100

// archive moves finished builds from their live refs to the archive, their logs
// to the logs, and writes their notes: one pack, and refs in this order, so that
// whatever is not done yet can be done again from the live ref.
func (l *Ledger) archive(ctx context.Context, final []*kept) error {
	var err error
	for range foldTries {
		f := &fold{l: l, objects: l.repo.NewBatch(), final: final}
		if err = f.write(ctx); !racedForNotes(err) {
			return explain(err)
		}
	}
	return err
}

type fold struct {
	l       *Ledger
	objects *git.Batch
	final   []*kept
	updates []git.RefUpdate
}

// noted is a line that this ledger has written.
type noted struct {
	commit git.Hash
	line   string
}

// keepNoted is for how many lines a ledger looks again, see renote.
const keepNoted = 64

// racedForNotes tells a note that somebody else added from a second writer of
// the store.
func racedForNotes(err error) bool {
	var moved *git.RefMovedError
	return errors.As(err, &moved) && moved.Name == NotesRef
}

func (f *fold) write(ctx context.Context) error {
	if err := f.blocks("logs of", func(k *kept) (string, git.Hash, error) {
		return logsRef(k.id), k.logsTree(), nil
	}); err != nil {
		return err
	}
	if err := f.archived(); err != nil {
		return err
	}
	if err := f.notes(); err != nil {
		return err
	}
	for _, k := range f.final {
		f.updates = append(f.updates, git.RefUpdate{Name: liveRef(k.id), Old: k.head})
	}
	f.l.written++
	if err := f.l.repo.Write(ctx, f.objects, f.updates); err != nil {
		return err
	}
	for _, k := range f.final {
		f.l.noted = append(f.l.noted, f.l.noteLine(k)...)
	}
	f.l.noted = f.l.noted[max(0, len(f.l.noted)-keepNoted):]
	return nil
}

// archived puts the builds' states into their blocks.
func (f *fold) archived() error {
	return f.blocks("archive", func(k *kept) (string, git.Hash, error) {
		tree, err := f.objects.Tree(k.state())
		return archiveRef(k.id), tree, err
	})
}

// renote writes lines again that somebody's git has dropped: "git notes" reads
// the notes, and then replaces the ref whatever it is by then. That it fails does
// no harm: the next fold tries again, and no line is more than an index.
func (l *Ledger) renote(ctx context.Context) {
	if l.broken != nil || len(l.noted) == 0 {
		return
	}
	head, err := l.repo.Ref(NotesRef)
	if err != nil || head == l.notes {
		return
	}
	f := &fold{l: l, objects: l.repo.NewBatch()}
	if f.notes() != nil || f.updates != nil && l.repo.Write(ctx, f.objects, f.updates) != nil {
		return
	}
	l.notes = head // looked at; what was written is looked at once more
}

// blocks puts a folder of each build into the block that part names for it.
func (f *fold) blocks(verb string, part func(*kept) (ref string, tree git.Hash, err error)) error {
	edits := map[string][]git.TreeEdit{}
	var refs []string
	for _, k := range f.final {
		ref, tree, err := part(k)
		if err != nil {
			return fmt.Errorf("build %s: %w", k.id, err)
		}
		if tree.IsZero() {
			continue
		}
		edits[ref] = append(edits[ref], git.TreeEdit{Path: place(k.id), Mode: git.ModeTree, Hash: tree})
		if !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	for _, ref := range refs {
		if err := f.block(ref, verb, edits[ref]); err != nil {
			return fmt.Errorf("%s: %w", ref, err)
		}
	}
	return nil
}

// block changes one block, unless all is there already.
func (f *fold) block(ref, verb string, edits []git.TreeEdit) error {
	head, err := f.l.repo.Ref(ref)
	if err != nil && !errors.Is(err, git.ErrRefNotFound) {
		return err
	}
	base := git.Zero
	if !head.IsZero() {
		c, err := f.l.repo.Commit(head)
		if err != nil {
			return err
		}
		base = c.Tree
	}
	tree, err := f.objects.EditTree(base, edits)
	if err != nil || tree == base {
		return err
	}
	spec := f.l.commit(tree, f.message(verb))
	if verb == "archive" && !head.IsZero() {
		spec.Parents = []git.Hash{head} // logs have none, so that those of old builds can go
	}
	f.updates = append(f.updates, git.RefUpdate{Name: ref, Old: head, New: f.objects.Commit(spec)})
	return nil
}

func (f *fold) message(verb string) string {
	if len(f.final) == 0 {
		return fmt.Sprintf("%s again what was overwritten\n\nVelocity-Writer: %s\n", verb, oneLine(f.l.writer))
	}
	first := f.final[0].id
	more := ""
	if n := len(f.final) - 1; n > 0 {
		more = fmt.Sprintf(" (+%d more)", n)
	}
	return fmt.Sprintf("%s build %s%s\n\nVelocity-Writer: %s\n", verb, first, more, oneLine(f.l.writer))
}

// noteLine is the line of a build; none for a build of nothing that git could
// show a note of.
func (l *Ledger) noteLine(k *kept) []noted {
	h, err := git.ParseHash(string(l.commitOf(k.build)))
	if err != nil {
		return nil
	}
	return []noted{{commit: h, line: NoteOf(k.build).String()}}
}

// notes adds the line of each build to its commit's note, and those that were
// there lately.
func (f *fold) notes() error {
	all := slices.Clone(f.l.noted)
	for _, k := range f.final {
		all = append(all, f.l.noteLine(k)...)
	}
	lines := map[git.Hash][]string{}
	for _, n := range all {
		lines[n.commit] = append(lines[n.commit], n.line)
	}
	head, err := f.l.repo.Ref(NotesRef)
	if err != nil && !errors.Is(err, git.ErrRefNotFound) {
		return err
	}
	next, err := f.objects.AddNoteLines(head, lines, f.l.commit(git.Zero, f.message("note")))
	if err != nil {
		return err
	}
	if next != head {
		f.updates = append(f.updates, git.RefUpdate{Name: NotesRef, Old: head, New: next})
	}
	return nil
}

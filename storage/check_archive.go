package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

// maxNotes bounds the commits with notes that are looked at.
const maxNotes = 100_000_000

// eachNote calls yield for every line of the notes about a build of the store,
// with the commit it is a note of. Notes that cannot be read are passed over.
func (s *Store) eachNote(store string, yield func(build.ID, plan.Commit)) error {
	head, err := s.repo.Ref(NotesRef)
	var broken *git.BrokenRef
	if errors.Is(err, git.ErrRefNotFound) || errors.As(err, &broken) { // that one is found with the refs
		return nil
	}
	if err != nil {
		return err
	}
	notes, err := s.repo.Walk(head, "", maxNotes)
	if err != nil {
		if damage(err) {
			return nil // found with the refs
		}
		return fmt.Errorf("read notes: %w", err)
	}
	for _, note := range notes {
		commit, err := plan.ParseCommit(strings.ReplaceAll(note.Name, "/", ""))
		if err != nil {
			continue // something else that somebody keeps there
		}
		text, err := s.repo.ReadBlob(note.Hash, maxRecord)
		if err != nil {
			if damage(err) {
				continue
			}
			return fmt.Errorf("read notes: %w", err)
		}
		for line := range strings.Lines(string(text)) {
			if n, err := ParseNote(strings.TrimSuffix(line, "\n")); err == nil && n.ID.Store == store {
				yield(n.ID, commit)
			}
		}
	}
	return nil
}

// archives compares the archive with the notes, and with everything set with what
// the builds say of themselves.
func (x *examination) archives(ctx context.Context) error {
	noted := map[int64][]plan.Commit{}
	if err := x.eachNote(x.store, func(id build.ID, c plan.Commit) { noted[id.Number] = append(noted[id.Number], c) }); err != nil {
		return err
	}
	refs, _, err := x.repo.Refs(storeRef(x.store, "archive/"))
	if err != nil {
		return err
	}
	lowest := int64(maxNumber)
	archived := map[int64]bool{}
	for _, ref := range refs {
		block, err := strconv.ParseInt(lastOf(ref.Name), 10, 64)
		if err != nil {
			continue
		}
		lowest = min(lowest, block*archiveBlock)
		for at, err := range x.inBlock(x.store, ref.Hash) {
			if err != nil {
				if !damage(err) {
					return fmt.Errorf("read %s: %w", ref.Name, err)
				}
				lowest = maxNumber // which builds are nowhere cannot be told
				break              // found with the refs
			}
			archived[at.id.Number] = true
			if err := x.archivedBuild(ctx, at, len(noted[at.id.Number]) > 0); err != nil {
				return err
			}
		}
	}
	for n, commits := range noted {
		if archived[n] || x.live[n] != nil || n < lowest { // blocks below the lowest were let go
			continue
		}
		if err := x.found(ctx, strayNote(build.ID{Store: x.store, Number: n}, commits)); err != nil {
			return err
		}
	}
	return nil
}

func strayNote(id build.ID, commits []plan.Commit) Finding {
	return Finding{
		Code: StrayNote, Severity: Notice, Place: id.String(),
		Problem: fmt.Sprintf("the note of %s tells of the build, and it is not stored here", commits[0]),
		Remedy:  fmt.Sprintf("nothing is missing if somebody removed the build or wrote the line; git notes --ref=velocity edit %s takes it out", commits[0]),
	}
}

// archivedBuild looks at one build of the archive.
func (x *examination) archivedBuild(ctx context.Context, at stand, noted bool) error {
	if noted && x.depth < full {
		return nil
	}
	b, err := x.build(at.id, at.tree)
	switch {
	case err != nil && newer(err):
		return x.found(ctx, newerFinding(at.id.String(), err))
	case err != nil && !damage(err):
		return fmt.Errorf("read %s: %w", at.id, err)
	case err != nil:
		return x.found(ctx, reportOnly(UnreadableBuild, at.id, err))
	}
	if !noted {
		if err := x.withoutNote(ctx, b); err != nil {
			return err
		}
	}
	if x.depth < full {
		return nil
	}
	return x.contents(ctx, at, b)
}

// reportOnly is about a record in the archive, which only ever grows: a record is
// never taken out or replaced by what somebody takes for better.
func reportOnly(code Code, id build.ID, err error) Finding {
	return Finding{
		Code: code, Severity: Damage, Place: id.String(), Problem: err.Error(),
		Remedy: "the archive is left as it is; a backup or a clone may have the build as it was written",
	}
}

// withoutNote finds the commit that should tell of the build and does not.
func (x *examination) withoutNote(ctx context.Context, b *build.Build) error {
	commit := x.commitOf(b)
	h, err := git.ParseHash(string(commit))
	if err != nil || !b.State().Final() {
		return nil //nolint:nilerr // a build of nothing that git could show a note of
	}
	if err := x.unreadableNote(h); err != nil {
		return x.found(ctx, Finding{
			Code: MissingNote, Severity: Damage, Place: b.ID.String(), Problem: err.Error(),
			Remedy: fmt.Sprintf("a backup or a clone may have the note; git notes --ref=velocity remove %s takes it out, and the line of this build is added then", commit),
		})
	}
	return x.found(ctx, Finding{
		Code: MissingNote, Severity: Leftover, Place: b.ID.String(), Problem: "no note of " + string(commit) + " tells of the build",
		Remedy: "the line is added",
		mend: func(ctx context.Context, l *Ledger) (string, error) {
			return fmt.Sprintf("added the line of build %s to the note of %s", b.ID, commit), l.addNote(ctx, h, b)
		},
	})
}

// unreadableNote says why the note of a commit cannot be read although there is one.
// That the ref of all notes is broken is found with the refs.
func (x *examination) unreadableNote(commit git.Hash) error {
	_, err := x.repo.Note(NotesRef, commit)
	var broken *git.BrokenRef
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, git.ErrRefNotFound) || errors.As(err, &broken) || !damage(err) {
		return nil
	}
	return fmt.Errorf("read the note of %s: %w", commit, err)
}

// addNote writes the line of one archived build.
func (l *Ledger) addNote(ctx context.Context, commit git.Hash, b *build.Build) error {
	head, err := l.repo.Ref(NotesRef)
	if err != nil && !errors.Is(err, git.ErrRefNotFound) {
		return err
	}
	batch := l.repo.NewBatch()
	message := fmt.Sprintf("note build %s\n\nVelocity-Writer: %s\n", b.ID, oneLine(l.writer))
	next, err := batch.AddNoteLines(head, map[git.Hash][]string{commit: {NoteOf(b).String()}}, l.commit(git.Zero, message))
	if err != nil || next == head {
		return err
	}
	return l.repo.Write(ctx, batch, []git.RefUpdate{{Name: NotesRef, Old: head, New: next}})
}

// contents compares what is stored of one build with what its state says.
func (x *examination) contents(ctx context.Context, at stand, b *build.Build) error {
	if _, _, err := x.replayed(at.tree, b); err != nil {
		if !damage(err) && !newer(err) {
			return fmt.Errorf("read moves of %s: %w", b.ID, err)
		}
		if err := x.found(ctx, reportOnly(Disagreement, b.ID, err)); err != nil {
			return err
		}
	}
	if err := x.planOf(at.tree, b); err != nil {
		if err := x.found(ctx, reportOnly(PlanMismatch, b.ID, err)); err != nil {
			return err
		}
	}
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			task := &b.Stages[i].Tasks[j]
			if err := x.logOf(b.ID, task); err != nil {
				if err := x.found(ctx, reportOnly(LogMismatch, b.ID, err)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// planOf says in what the stored plan differs from the one that the build is of.
func (s *Store) planOf(tree git.Hash, b *build.Build) error {
	if b.Plan == "" {
		return nil
	}
	data, err := s.repo.ReadFile(tree, planFile, maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is missing", planFile)
	}
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != b.Plan {
		return fmt.Errorf("%s is not the plan with the digest that %s has", planFile, buildFile)
	}
	return nil
}

// logOf says in what the stored log of a task's last attempt differs from the one
// that its builder sent. All logs of a build may have been let go, not some.
func (s *Store) logOf(id build.ID, task *build.Task) error {
	if task.Log.Bytes == 0 {
		return nil
	}
	folder, err := s.placed(logsBlockOf(id), id)
	if errors.Is(err, ErrNoBuild) {
		return nil
	}
	var text []byte
	if err == nil {
		text, err = s.joined(folder, logName(task.Key, task.Attempt))
	}
	name := "the log of task " + task.Key
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is missing", name)
	case err != nil:
		return fmt.Errorf("%s: %w", name, err)
	case int64(len(text)) != task.Log.Bytes:
		return fmt.Errorf("%s has %d bytes, and %s says %d", name, len(text), buildFile, task.Log.Bytes)
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != task.Log.SHA256 {
		return fmt.Errorf("%s is not the one whose sum %s has", name, buildFile)
	}
	return nil
}

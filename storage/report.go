package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

// Told is what a forge was told last of the check of that name on a commit. It is
// the zero value if it was told nothing, or if that is lost: a forge can be asked.
// Errors: *VersionError.
func (s *Store) Told(_ context.Context, c plan.Commit, name string) (Told, error) {
	k := reportKey{c, name}
	if err := k.check(); err != nil {
		return Told{}, err
	}
	store, err := s.ID()
	if err != nil || store == "" {
		return Told{}, err
	}
	for {
		desk, err := s.repo.Ref(storeRef(store, "desk"))
		if errors.Is(err, git.ErrRefNotFound) {
			return Told{}, nil
		}
		if err != nil {
			return Told{}, fmt.Errorf("read report: %w", err)
		}
		got, r, err := s.report(desk, k.path())
		if now, refErr := s.repo.Ref(storeRef(store, "desk")); errors.Is(err, git.ErrObjectNotFound) && refErr == nil && now != desk {
			continue // the desk was replaced, and what was on it merged away
		}
		switch {
		case err == nil && got == k:
			return r, nil
		case err == nil, errors.Is(err, fs.ErrNotExist), damage(err):
			return Told{}, nil
		}
		return Told{}, fmt.Errorf("read report: %w", err)
	}
}

func (s *Store) report(desk git.Hash, path string) (reportKey, Told, error) {
	data, err := s.repo.ReadFile(desk, path, maxReport)
	if err != nil {
		return reportKey{}, Told{}, err
	}
	return decodeReport(data)
}

// KeepTold records what a forge was told. It returns nil once that is durable,
// together with whatever else was to be recorded at that time. An error of ctx says
// nothing about whether it will be.
func (l *Ledger) KeepTold(ctx context.Context, c plan.Commit, name string, r Told) error {
	k := reportKey{c, name}
	if err := k.check(); err != nil {
		return err
	}
	data, err := encodeReport(k, r)
	if err != nil {
		return err
	}
	if len(data) > maxReport {
		return fmt.Errorf("report of check %.80q has %d bytes, at most %d are kept", name, len(data), maxReport)
	}
	return l.await(ctx, entry{path: k.path(), report: data})
}

// editReports are the edits of the desk that record reports, by their paths. Once in
// a while one shelf is looked through for what is over. So that costs little at any
// time, and what is kept too long is bounded by how much is recorded.
func (b *batch) editReports() ([]git.TreeEdit, error) {
	var edits []git.TreeEdit
	b.l.reported += len(b.reports)
	for ; b.l.reported >= reportsPerShelf; b.l.reported -= reportsPerShelf {
		stale, err := b.l.staleReports(shelf(fmt.Sprintf("%02x", b.l.shelf)))
		if err != nil {
			return nil, err
		}
		b.l.shelf++
		edits = append(edits, dropAll(stale)...)
	}
	for _, path := range slices.Sorted(maps.Keys(b.reports)) { // what is new counts
		edits = append(edits, git.TreeEdit{Path: path, Mode: git.ModeFile, Hash: b.objects.Blob(b.reports[path])})
	}
	return edits, nil
}

// reportsPerShelf is how many reports are recorded between two looks.
const reportsPerShelf = 16

func dropAll(paths []string) []git.TreeEdit {
	var edits []git.TreeEdit
	for _, path := range paths {
		edits = append(edits, git.TreeEdit{Path: path})
	}
	return edits
}

// staleReports lists the reports in a folder that are over.
func (l *Ledger) staleReports(folder string) (stale []string, err error) {
	err = l.eachReport(l.desk, folder, func(path string, r Told, err error) error {
		if err == nil && r.over(l.now()) {
			stale = append(stale, path)
		}
		return nil // fsck tells of those that cannot be read
	})
	return stale, err
}

// reportsOf lists the reports about a build.
func (l *Ledger) reportsOf(id build.ID) (found []string, err error) {
	err = l.eachReport(l.desk, reportsFolder, func(path string, r Told, err error) error {
		if err == nil && r.of(id) {
			found = append(found, path)
		}
		return nil
	})
	return found, err
}

// maxReports is above all that a repository has, with 14 days of them.
const maxReports = 1 << 24

// A folderError is about a folder of the desk that cannot be read as a whole.
type folderError struct {
	folder string
	err    error
}

func (e *folderError) Error() string { return fmt.Sprintf("read %s: %v", e.folder, e.err) }
func (e *folderError) Unwrap() error { return e.err }

// eachReport visits the reports in a folder of a desk, also those that cannot be
// read. Errors: those of visit, or a *folderError.
func (s *Store) eachReport(desk git.Hash, folder string, visit func(path string, r Told, err error) error) error {
	if desk.IsZero() {
		return nil
	}
	files, err := s.repo.Walk(desk, folder, maxReports)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &folderError{folder, err}
	}
	for _, f := range files {
		path := folder + "/" + f.Name
		k, r, err := s.report(desk, path)
		if err == nil && k.path() != path {
			err = fmt.Errorf("%s is that of another check", path)
		}
		if err := visit(path, r, err); err != nil {
			return err
		}
	}
	return nil
}

// reports finds what is kept about forges and plugins and cannot be read.
func (x *examination) reports(ctx context.Context) error {
	name := storeRef(x.store, "desk")
	desk, err := x.repo.Ref(name)
	if _, _, broken := x.tips(x.store); broken != nil || errors.Is(err, git.ErrRefNotFound) {
		return nil //nolint:nilerr // that nothing of it can be read is for others to find
	}
	if err != nil {
		return fmt.Errorf("read desk: %w", err)
	}
	unreadable := func(path, remedy string, why error) error {
		switch {
		case why == nil:
			return nil
		case newer(why):
			return x.found(ctx, newerFinding(name+":"+path, why))
		case !damage(why):
			return fmt.Errorf("read %s: %w", path, why)
		}
		return x.found(ctx, Finding{
			Code: UnreadableReport, Severity: Damage, Place: name + ":" + path, Problem: why.Error(), Remedy: remedy,
			mend: func(ctx context.Context, l *Ledger) (string, error) {
				return "dropped " + path + ": " + why.Error(), l.dropReport(ctx, path)
			},
		})
	}
	err = x.eachReport(desk, reportsFolder, func(path string, _ Told, why error) error {
		return unreadable(path, "it is dropped; what the forge shows is found out by asking it", why)
	})
	var whole *folderError
	if errors.As(err, &whole) {
		err = unreadable(whole.folder, "it is dropped; what forges show is found out by asking them", whole.err)
	}
	if err != nil {
		return err
	}
	err = x.eachOwed(x.store, desk, func(path string, _ Owed, why error) error {
		return unreadable(path, "it is dropped; plugins are told no more of that build", why)
	})
	if errors.As(err, &whole) {
		err = unreadable(whole.folder, "it is dropped; plugins are told no more of the builds that are there", whole.err)
	}
	return err
}

// dropReport takes one report from the desk that is there now.
func (l *Ledger) dropReport(ctx context.Context, path string) error {
	name := storeRef(l.store, "desk")
	desk, err := l.repo.Ref(name)
	if err != nil {
		return err
	}
	objects := l.repo.NewBatch()
	next, err := l.editDesk(objects, desk, dropAll([]string{path}), "a report that could not be read is gone")
	if err != nil {
		return err
	}
	return l.repo.Write(ctx, objects, []git.RefUpdate{{Name: name, Old: desk, New: next}})
}

// editDesk adds a changed desk. It has no history: what counts is now.
func (l *Ledger) editDesk(objects *git.Batch, desk git.Hash, edits []git.TreeEdit, said string) (git.Hash, error) {
	base := git.Zero
	if !desk.IsZero() {
		c, err := l.repo.Commit(desk)
		if err != nil {
			return git.Zero, err
		}
		base = c.Tree
	}
	tree, err := objects.EditTree(base, edits)
	if err != nil {
		return git.Zero, err
	}
	return objects.Commit(l.commit(tree, fmt.Sprintf("desk: %s\n\nVelocity-Writer: %s\n", said, oneLine(l.writer)))), nil
}

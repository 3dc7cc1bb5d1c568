package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage/git"
)

// recover makes good what earlier writers left, and loads the live builds.
// Nothing is guessed: what cannot be read is put aside and reported.
func (l *Ledger) recover(ctx context.Context) error {
	if err := l.removeLocks(ctx); err != nil {
		return err
	}
	if !l.lock.clean {
		if err := l.sweepObjects(); err != nil {
			return err
		}
	}
	for _, prefix := range []string{storeRef(l.store, ""), NotesRef} {
		if err := l.checkRefs(ctx, prefix); err != nil {
			return err
		}
	}
	if err := l.loadBuilds(ctx); err != nil {
		return err
	}
	aside, err := os.ReadDir(l.aside())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if l.damaged = len(aside) > 0; l.damaged {
		l.report("%s holds refs that could not be read: packs are not merged while it does", l.aside())
	}
	return nil
}

func (l *Ledger) report(format string, args ...any) {
	l.found = append(l.found, fmt.Sprintf(format, args...))
}

// aside is the folder for what is left of refs that lead nowhere.
func (l *Ledger) aside() string { return filepath.Join(l.folder(), "corrupt") }

// checkRefs puts refs aside that lead nowhere. A reader would trip over them for
// ever, and git over an empty file.
func (l *Ledger) checkRefs(ctx context.Context, prefix string) error {
	refs, broken, err := l.repo.Refs(prefix)
	if err != nil {
		return err
	}
	for i := range broken {
		if err := l.setFileAside(&broken[i]); err != nil {
			return err
		}
	}
	for _, ref := range refs {
		err := l.leads(ref)
		switch {
		case err == nil:
		case !damage(err):
			return fmt.Errorf("check %s: %w", ref.Name, err)
		default:
			if err := l.setRefAside(ctx, ref, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// leads reports whether what a ref names can be read.
func (l *Ledger) leads(ref git.Ref) error {
	commit, err := l.repo.Commit(ref.Hash)
	if err == nil {
		_, err = l.repo.List(commit.Tree, "")
		return err
	}
	if _, blobErr := l.repo.ReadBlob(ref.Hash, maxTrigger); blobErr == nil || errors.Is(blobErr, git.ErrTooLarge) {
		return nil // what it means is for its reader to judge
	}
	return err
}

// damage tells what is wrong with the data from what is wrong with the machine,
// such as a file that we may not open: that passes, and takes nothing with it.
func damage(err error) bool {
	var path *fs.PathError
	var newer *VersionError
	return !errors.As(err, &path) && !errors.As(err, &newer) && !errors.Is(err, context.Canceled)
}

// setFileAside moves the file of a ref that holds no object id. An older value
// that git has packed shows again then, and is said to be one.
func (l *Ledger) setFileAside(ref *git.BrokenRef) error {
	if err := os.MkdirAll(l.aside(), 0o777); err != nil {
		return err
	}
	from := filepath.Join(l.repo.CommonDir(), ref.Name)
	if err := os.Rename(from, filepath.Join(l.aside(), asideName(ref.Name))); err != nil {
		return fmt.Errorf("set aside: %w", err)
	}
	if err := errors.Join(syncFolder(filepath.Dir(from)), syncFolder(l.aside())); err != nil {
		return fmt.Errorf("set aside: %w", err)
	}
	older := "it is gone"
	if h, err := l.repo.Ref(ref.Name); err == nil {
		older = "it is back at " + h.String()
	}
	l.report("%s: put aside, %s", ref.Error(), older)
	return nil
}

// setRefAside deletes a ref whose object is missing and keeps its value in a file.
func (l *Ledger) setRefAside(ctx context.Context, ref git.Ref, why error) error {
	content := fmt.Sprintf("%s %s\n%v\n", ref.Hash, ref.Name, why)
	if err := replaceFile(filepath.Join(l.aside(), asideName(ref.Name)), []byte(content)); err != nil {
		return fmt.Errorf("set aside: %w", err)
	}
	if err := l.repo.Write(ctx, nil, []git.RefUpdate{{Name: ref.Name, Old: ref.Hash}}); err != nil {
		return fmt.Errorf("set aside: %w", err)
	}
	l.report("%s cannot be read and was put aside: %v", ref.Name, why)
	return nil
}

func asideName(ref string) string { return strings.ReplaceAll(ref, "/", "-") }

// loadBuilds reads the live builds. One that makes no sense is quarantined.
func (l *Ledger) loadBuilds(ctx context.Context) error {
	refs, _, err := l.repo.Refs(storeRef(l.store, "live/"))
	if err != nil {
		return err
	}
	for _, ref := range refs {
		k, err := l.loadBuild(ref)
		switch {
		case err == nil:
			l.builds[k.id.Number] = k
		case !damage(err):
			return fmt.Errorf("read %s: %w", ref.Name, err)
		default:
			if err := l.quarantine(ctx, ref, "live-"+lastOf(ref.Name), err); err != nil {
				return err
			}
			l.report("%s cannot be read and was quarantined: %v", ref.Name, err)
		}
	}
	return nil
}

// loadBuild reads one live build and makes sure that its parts agree.
func (l *Ledger) loadBuild(ref git.Ref) (*kept, error) {
	n, ok := parseDigits(lastOf(ref.Name))
	if !ok {
		return nil, errors.New("its name is not a build's number")
	}
	k := &kept{stand: stand{id: build.ID{Store: l.store, Number: n}}, head: ref.Hash}
	c, err := l.repo.Commit(ref.Hash)
	if err != nil {
		return nil, err
	}
	k.tree = c.Tree
	if k.entries, err = l.repo.List(k.tree, ""); err != nil {
		return nil, err
	}
	if k.build, err = l.Store.build(k.id, k.tree); err != nil {
		return nil, err
	}
	if _, err := l.plan(k.tree); err != nil {
		return nil, err
	}
	if k.events, err = l.repo.ReadFile(k.tree, eventsFile, maxRecord); err != nil {
		return nil, err
	}
	moves, err := decodeMoves(k.events)
	if err != nil {
		return nil, err
	}
	replayed, err := build.Replay(moves)
	if err != nil {
		return nil, err
	}
	if err := agree(replayed, k.build); err != nil {
		return nil, err
	}
	k.seq = k.build.Seq
	return k, nil
}

// agree fails unless two builds are stored as the same bytes.
func agree(replayed, read *build.Build) error {
	one, err := encodeBuild(replayed)
	if err != nil {
		return err
	}
	two, err := encodeBuild(read)
	if err != nil {
		return err
	}
	if !bytes.Equal(one, two) {
		return errors.New(eventsFile + " and " + buildFile + " disagree")
	}
	return nil
}

// quarantine moves a ref out of the way together with what it names, so that
// people can look at it. The reason is the message.
func (l *Ledger) quarantine(ctx context.Context, ref git.Ref, name string, why error) error {
	entry := l.entryOf(ref.Hash)
	batch := l.repo.NewBatch()
	tree, err := batch.Tree([]git.TreeEntry{entry})
	if err != nil {
		return err
	}
	to := storeRef(l.store, "quarantine/"+name)
	before, err := l.repo.Ref(to)
	if err != nil && !errors.Is(err, git.ErrRefNotFound) {
		return err
	}
	spec := l.commit(tree, fmt.Sprintf("%s\n\n%v\n\nVelocity-Writer: %s\n", ref.Name, oneLine(why.Error()), oneLine(l.writer)))
	if !before.IsZero() {
		spec.Parents = []git.Hash{before}
	}
	return l.repo.Write(ctx, batch, []git.RefUpdate{
		{Name: to, Old: before, New: batch.Commit(spec)},
		{Name: ref.Name, Old: ref.Hash},
	})
}

// entryOf is the object of a ref as something that a tree can hold.
func (l *Ledger) entryOf(h git.Hash) git.TreeEntry {
	c, err := l.repo.Commit(h)
	if err == nil {
		return git.TreeEntry{Name: "record", Mode: git.ModeTree, Hash: c.Tree}
	}
	if _, listErr := l.repo.List(h, ""); listErr == nil {
		return git.TreeEntry{Name: "record", Mode: git.ModeTree, Hash: h}
	}
	return git.TreeEntry{Name: "record", Mode: git.ModeFile, Hash: h}
}

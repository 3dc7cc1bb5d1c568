package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/velocity-ci/velocity/storage/git"
)

// badIdentity is the finding that the store's file does not say which store this
// is.
func (s *Store) badIdentity(problem string, stores []string) Finding {
	f := Finding{Code: StoreFile, Severity: Damage, Place: s.identity(), Problem: problem}
	switch len(stores) {
	case 0:
		f.Remedy = "no ref is of any store: delete the file, and the next build begins one"
	case 1:
		only := stores[0]
		f.Remedy, f.Mends = "store "+only+", the only one in the refs, is written to it", true
		f.mend = func(_ context.Context, l *Ledger) (string, error) {
			did := fmt.Sprintf("wrote %s to %s: all refs are of this store", only, l.identity())
			return did, l.replaceFile(l.identity(), []byte(only+"\n"))
		}
	default:
		f.Remedy = fmt.Sprintf("decide which of %s this repository goes on with (git for-each-ref %s shows them; velocity builds lists "+
			"their builds) and write its six characters to the file; without it the next build begins a store of its own",
			strings.Join(stores, ", "), strings.TrimSuffix(RefPrefix, "/"))
	}
	return f
}

// refs finds refs that lead nowhere. A reader would trip over them for ever, and
// git over an empty file.
func (x *examination) refs(ctx context.Context) error {
	refs, broken, err := x.allRefs()
	if err != nil {
		return err
	}
	for i := range broken {
		bad := &broken[i]
		f := Finding{Code: GarbageRef, Severity: Damage, Place: bad.Name, Problem: bad.Reason, Remedy: "the file is moved to " + x.aside()}
		if bad.Empty() {
			f.Code = EmptyRef
		}
		f.mend = func(_ context.Context, l *Ledger) (string, error) { return l.setFileAside(bad) }
		if err := x.found(ctx, f); err != nil {
			return err
		}
	}
	for _, ref := range refs {
		err := x.leads(ref)
		switch {
		case err == nil:
		case !damage(err):
			return fmt.Errorf("check %s: %w", ref.Name, err)
		default:
			if err := x.found(ctx, x.leadsNowhere(ref, err)); err != nil {
				return err
			}
		}
	}
	return nil
}

// leads reports whether what a ref names can be read. One that is gone by now
// leads where it should.
func (s *Store) leads(ref git.Ref) error {
	commit, err := s.repo.Commit(ref.Hash)
	if err == nil {
		_, err = s.repo.List(commit.Tree, "")
	} else if _, blobErr := s.repo.ReadBlob(ref.Hash, maxTrigger); blobErr == nil || errors.Is(blobErr, git.ErrTooLarge) {
		return nil // what it means is for its reader to judge
	}
	if err != nil {
		if now, refErr := s.repo.Ref(ref.Name); errors.Is(refErr, git.ErrRefNotFound) || refErr == nil && now != ref.Hash {
			return nil
		}
	}
	return err
}

// leadsNowhere is mended by an older value if the ref has a history, so that an
// archive does not go because of what was added last.
func (x *examination) leadsNowhere(ref git.Ref, why error) Finding {
	thorough := x.depth > atStart
	return Finding{
		Code: MissingObject, Severity: Damage, Place: ref.Name, Problem: why.Error(),
		Remedy: "the ref goes back to its newest commit that is complete; if there is none, its value is kept in " + x.aside() + " and it is deleted",
		mend: func(ctx context.Context, l *Ledger) (string, error) {
			if thorough && !strings.HasPrefix(ref.Name, storeRef(l.store, "live/")) {
				if did, err := l.stepBack(ctx, ref, why); did != "" || err != nil {
					return did, err
				}
			}
			return l.setRefAside(ctx, ref, why)
		},
	}
}

// stepBack moves a ref to its newest ancestor that is complete. It does nothing
// and returns "" if none is.
func (l *Ledger) stepBack(ctx context.Context, ref git.Ref, why error) (did string, err error) {
	for h := range l.ancestors(ref.Hash) {
		missing, err := l.repo.Incomplete(ctx, h)
		if err != nil {
			return "", err
		}
		if missing != "" {
			continue
		}
		err = l.repo.Write(ctx, nil, []git.RefUpdate{{Name: ref.Name, Old: ref.Hash, New: h}})
		return fmt.Sprintf("%s cannot be read at %s and was rolled back to %s: %v", ref.Name, ref.Hash, h, why), err
	}
	return "", nil
}

// ancestors walks from a commit along first parents, as far as they can be read.
func (s *Store) ancestors(h git.Hash) func(yield func(git.Hash) bool) {
	return func(yield func(git.Hash) bool) {
		for {
			c, err := s.repo.Commit(h)
			if err != nil || !yield(h) || len(c.Parents) == 0 {
				return
			}
			h = c.Parents[0]
		}
	}
}

// reachability finds refs of which something is missing further down.
func (x *examination) reachability(ctx context.Context) error {
	refs, _, err := x.allRefs()
	if err != nil {
		return err
	}
	var all []git.Hash
	for _, ref := range refs {
		all = append(all, ref.Hash)
	}
	missing, err := x.repo.Incomplete(ctx, all...)
	if err != nil || missing == "" {
		return err
	}
	for _, ref := range refs {
		if missing, err = x.repo.Incomplete(ctx, ref.Hash); err != nil {
			return err
		}
		if missing == "" || x.said[ref.Name] {
			continue
		}
		if err := x.found(ctx, x.incomplete(ref, missing)); err != nil {
			return err
		}
	}
	return nil
}

func (x *examination) incomplete(ref git.Ref, missing string) Finding {
	f := Finding{
		Code: Incomplete, Severity: Damage, Place: ref.Name, Problem: missing,
		Remedy: "what is missing can come back from a backup, or by a fetch from a clone that has it; the rest stays readable",
	}
	if n, ok := parseDigits(lastOf(ref.Name)); ok && x.live[n] != nil && ref.Name == liveRef(x.live[n].id) {
		f.Remedy = "the build goes back to its newest state that is complete, and says so"
		f.mend = func(ctx context.Context, l *Ledger) (string, error) {
			k, did, err := l.rollBack(ctx, ref)
			if k == nil && err == nil {
				delete(x.live, n)
				return l.setRefAside(ctx, ref, errors.New(missing))
			}
			x.live[n] = k
			return did, err
		}
	}
	return f
}

// protection finds a bare repository where everybody who may push may forge. One
// without a store of its own is a copy, and records nothing.
func (x *examination) protection(ctx context.Context) error {
	if own, err := x.ID(); own == "" || x.repo.WorkTree() != "" {
		return err
	}
	open, err := x.repo.Unprotected(ctx)
	if err != nil || len(open) == 0 {
		return err
	}
	return x.found(ctx, Finding{
		Code: Unprotected, Severity: Notice, Place: filepath.Join(x.repo.CommonDir(), "config"),
		Problem: "receive.hideRefs lacks " + strings.Join(open, " and ") + ": who can push here can push forged results",
		Remedy:  "the keys are added",
		mend: func(ctx context.Context, l *Ledger) (string, error) {
			return "hid " + strings.Join(open, " and ") + " from pushes", l.repo.Protect(ctx)
		},
	})
}

// putAside lists what earlier repairs could not mend.
func (x *examination) putAside(ctx context.Context) error {
	refs, _, err := x.repo.Refs(storeRef(x.store, "quarantine/"))
	if err != nil {
		return err
	}
	for _, ref := range refs {
		c, err := x.repo.Commit(ref.Hash)
		if err != nil {
			continue // found with the other refs
		}
		if err := x.found(ctx, Finding{
			Code: Quarantined, Severity: Notice, Place: ref.Name, Problem: reasonOf(c.Message),
			Remedy: fmt.Sprintf("look at it with git show %s:record; when it is dealt with: git update-ref -d %s", ref.Name, ref.Name),
		}); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(x.aside())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		if err := x.found(ctx, Finding{
			Code: SetAside, Severity: Notice, Place: filepath.Join(x.aside(), entry.Name()),
			Problem: "an earlier repair put it here since it could not be read; packs are not merged while it is here",
			Remedy:  "delete it when it is dealt with",
		}); err != nil {
			return err
		}
	}
	return nil
}

// reasonOf is the reason in a message that quarantine wrote.
func reasonOf(message string) string {
	was, rest, _ := strings.Cut(message, "\n\n")
	why, _, _ := strings.Cut(rest, "\n")
	return fmt.Sprintf("%s could not be read: %s", was, why)
}

package git

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// A Ref is a name and the object it points to.
type Ref struct {
	Name string
	Hash Hash
}

// A BrokenRef is a ref whose file holds no object id, such as an empty one that
// a crash of other software left.
type BrokenRef struct {
	Name   string
	Reason string
}

func (e *BrokenRef) Error() string { return fmt.Sprintf("ref %s is broken: %s", e.Name, e.Reason) }

// Empty reports whether the file holds nothing at all.
func (e *BrokenRef) Empty() bool { return e.Reason == emptyRef }

const emptyRef = "its file is empty"

// symbolicDepth is git's bound on refs that name other refs.
const symbolicDepth = 5

// Ref returns what a full ref name points to, through symbolic refs, or
// ErrRefNotFound. A damaged file gives a *BrokenRef.
func (r *Repository) Ref(name string) (Hash, error) {
	for range symbolicDepth {
		if !readableRef(name) {
			return Zero, fmt.Errorf("%w: %.80q is not a full ref name", ErrRefNotFound, name)
		}
		h, target, err := r.looseRef(r.commonDir, name)
		if errors.Is(err, ErrRefNotFound) {
			return r.packedRef(name)
		}
		if err != nil || target == "" {
			return h, err
		}
		name = target
	}
	return Zero, fmt.Errorf("ref %s: more than %d refs deep", name, symbolicDepth)
}

// packedRef must be asked after the loose ref was found absent, never before:
// git writes packed-refs first and removes the loose file then.
func (r *Repository) packedRef(name string) (Hash, error) {
	packed, err := r.readPackedRefs()
	if err != nil {
		return Zero, err
	}
	if h, ok := packed.find(name); ok {
		return h, nil
	}
	return Zero, fmt.Errorf("%w: %s", ErrRefNotFound, name)
}

// looseRef reads a ref's own file: an object id, or the name of another ref.
func (r *Repository) looseRef(folder, name string) (h Hash, target string, err error) {
	data, err := os.ReadFile(filepath.Join(folder, name))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG) {
		return Zero, "", fmt.Errorf("%w: %s", ErrRefNotFound, name)
	}
	if err != nil {
		return Zero, "", fmt.Errorf("read ref: %w", err)
	}
	return parseRef(name, string(data))
}

func parseRef(name, content string) (h Hash, target string, err error) {
	content = strings.TrimRight(content, " \t\r\n")
	if target, ok := strings.CutPrefix(content, "ref:"); ok {
		return Zero, strings.TrimSpace(target), nil
	}
	if content == "" {
		return Zero, "", &BrokenRef{Name: name, Reason: emptyRef}
	}
	if h, err = ParseHash(content); err != nil || h.IsZero() {
		return Zero, "", &BrokenRef{Name: name, Reason: fmt.Sprintf("its file holds %.60q", content)}
	}
	return h, "", nil
}

// Head returns the branch that is checked out, "" when detached, and its commit,
// Zero when the branch has none yet.
func (r *Repository) Head() (branch string, commit Hash, err error) {
	h, target, err := r.looseRef(r.gitDir, "HEAD")
	if err != nil || target == "" {
		return "", h, err
	}
	h, err = r.Ref(target)
	if errors.Is(err, ErrRefNotFound) {
		return target, Zero, nil
	}
	return target, h, err
}

// Refs lists the refs whose name begins with prefix, such as "refs/heads/",
// sorted by name. Broken ones are listed apart and do not hide the others;
// symbolic refs show what they lead to and are left out when that is nothing.
func (r *Repository) Refs(prefix string) ([]Ref, []BrokenRef, error) {
	if !strings.HasPrefix(prefix, "refs/") || strings.Contains(prefix, "..") {
		return nil, nil, fmt.Errorf("list refs: prefix %.80q is not below refs/", prefix)
	}
	found := make(map[string]Hash)
	var broken []BrokenRef
	names, err := r.looseNames(prefix)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		h, err := r.Ref(name)
		var bad *BrokenRef
		switch {
		case errors.As(err, &bad):
			broken = append(broken, BrokenRef{Name: name, Reason: bad.Reason})
			found[name] = Zero // do not fall back to an older packed value
		case errors.Is(err, ErrRefNotFound): // deleted meanwhile, or leads nowhere
		case err != nil:
			return nil, nil, err
		default:
			found[name] = h
		}
	}
	packed, err := r.readPackedRefs() // after the loose ones, see packedRef
	if err != nil {
		return nil, nil, err
	}
	packed.withPrefix(prefix, func(ref Ref) {
		if _, loose := found[ref.Name]; !loose {
			found[ref.Name] = ref.Hash
		}
	})
	refs := make([]Ref, 0, len(found))
	for name, h := range found {
		if !h.IsZero() {
			refs = append(refs, Ref{Name: name, Hash: h})
		}
	}
	slices.SortFunc(refs, func(a, b Ref) int { return strings.Compare(a.Name, b.Name) })
	return refs, broken, nil
}

// looseNames lists the ref files below a prefix, without locks and whatever else
// git would not take for a ref.
func (r *Repository) looseNames(prefix string) ([]string, error) {
	var names []string
	err := r.walkRefs(prefix, func(name string, _ fs.DirEntry) error {
		if readableRef(name) {
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// walkRefs visits all files below a prefix of refs/, locks included.
func (r *Repository) walkRefs(prefix string, visit func(name string, entry fs.DirEntry) error) error {
	top := filepath.Join(r.commonDir, prefix[:strings.LastIndexByte(prefix, '/')])
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
				return nil // refs and their folders come and go
			}
			return err
		}
		name := strings.TrimPrefix(path, r.commonDir+"/")
		if entry.IsDir() || !strings.HasPrefix(name, prefix) {
			return nil
		}
		return visit(name, entry)
	})
	if err != nil {
		return fmt.Errorf("list refs: %w", err)
	}
	return nil
}

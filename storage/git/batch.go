package git

import (
	"github.com/go-git/go-git/v5/plumbing"
)

// A Batch collects objects in memory until Write stores all of them as one pack.
// It also reads: what it lacks it takes from its repository. It is for one
// goroutine, and for one successful Write.
type Batch struct {
	r       *Repository
	objects map[Hash]object
	order   []Hash
}

// NewBatch returns an empty batch.
func (r *Repository) NewBatch() *Batch {
	return &Batch{r: r, objects: make(map[Hash]object)}
}

// Blob adds content, which must not change afterwards.
func (b *Batch) Blob(content []byte) Hash {
	return b.add(plumbing.BlobObject, content)
}

// Tree adds a folder; entries may come in any order. Names that git refuses and
// names given twice are errors.
func (b *Batch) Tree(entries []TreeEntry) (Hash, error) {
	content, err := encodeTree(entries)
	if err != nil {
		return Zero, err
	}
	return b.add(plumbing.TreeObject, content), nil
}

// Commit adds a commit.
func (b *Batch) Commit(spec CommitSpec) Hash {
	return b.add(plumbing.CommitObject, spec.encode())
}

func (b *Batch) add(kind plumbing.ObjectType, content []byte) Hash {
	h := Hash(plumbing.ComputeHash(kind, content))
	if _, known := b.objects[h]; !known {
		b.objects[h] = object{kind: kind, content: content}
		b.order = append(b.order, h)
	}
	return h
}

// holds also answers for no batch.
func (b *Batch) holds(h Hash) bool {
	if b == nil {
		return false
	}
	_, ok := b.objects[h]
	return ok
}

// tree reads a folder; Zero is an empty one.
func (b *Batch) tree(h Hash) ([]TreeEntry, error) {
	if h.IsZero() {
		return nil, nil
	}
	if o, ok := b.objects[h]; ok && o.kind == plumbing.TreeObject {
		return parseTree(h, o.content)
	}
	return b.r.tree(h)
}

// rootTree returns the tree of commit h, in the batch or not.
func (b *Batch) rootTree(h Hash) (Hash, error) {
	if o, ok := b.objects[h]; ok && o.kind == plumbing.CommitObject {
		c, err := parseCommit(h, o.content)
		return c.Tree, err
	}
	c, err := b.r.Commit(h)
	return c.Tree, err
}

// blob reads a file, in the batch or not.
func (b *Batch) blob(h Hash) ([]byte, error) {
	if o, ok := b.objects[h]; ok {
		return o.content, nil
	}
	return b.r.typed(h, plumbing.BlobObject)
}

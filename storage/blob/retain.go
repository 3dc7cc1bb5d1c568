package blob

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Bound says how much stays. What is beyond any part of it goes, the oldest
// first; zero parts bound nothing.
type Bound struct {
	Age   time.Duration // of artifacts since they were kept, of caches since they were used
	Bytes int64         // in all, compressed
}

// A Retention says what stays. The zero value keeps all that is recorded.
type Retention struct{ Artifacts, Caches Bound }

// Dropped is what a Retention takes away.
type Dropped struct {
	Artifacts int   // attempts whose artifacts go
	Caches    int   // that go
	Blobs     int   // content that nothing names any more
	Bytes     int64 // in it
}

// A find is a record, or content, that is there.
type find struct {
	key  string
	ref  Ref
	when time.Time
}

// A survey is what there is.
type survey struct{ artifacts, caches []find }

// names is the content that the records name, by its sum.
func (v *survey) names() map[string]bool {
	named := map[string]bool{}
	for _, f := range slices.Concat(v.artifacts, v.caches) {
		named[f.ref.SHA256] = true
	}
	return named
}

// survey reads all records.
func (s *Store) survey(ctx context.Context) (*survey, error) {
	v := &survey{}
	for one, err := range s.list(ctx, "") {
		if err != nil {
			return nil, err
		}
		isArtifacts, isCache := strings.HasPrefix(one.Key, artifacts), strings.HasPrefix(one.Key, caches)
		if !strings.HasSuffix(one.Key, ".json") || !isArtifacts && !isCache {
			continue
		}
		h := header{}
		err := s.read(ctx, one.Key, &h.Version, &h)
		if errors.Is(err, ErrNone) {
			continue // it went while the list was read
		}
		if err != nil {
			return nil, err // what it names must not go
		}
		found := find{key: one.Key, ref: h.ref(), when: h.Created}
		if isArtifacts {
			v.artifacts = append(v.artifacts, found)
			continue
		}
		found.when = h.Used
		v.caches = append(v.caches, found)
	}
	return v, nil
}

// beyond splits finds into those that stay and those that go.
func (b Bound) beyond(all []find, now time.Time) (stay, gone []find) {
	slices.SortFunc(all, func(x, y find) int { return cmp.Or(y.when.Compare(x.when), cmp.Compare(y.key, x.key)) })
	sum := int64(0)
	for _, f := range all {
		sum += f.ref.Size
		if b.Age > 0 && now.Sub(f.when) > b.Age || b.Bytes > 0 && sum > b.Bytes {
			gone = append(gone, f)
		} else {
			stay = append(stay, f)
		}
	}
	return stay, gone
}

// Retain drops what is beyond the bounds, and content that nothing has named for a
// day. With dry it only tells what it would. It works beside readers and writers;
// a reader of what goes may see it end early.
func (s *Store) Retain(ctx context.Context, keep Retention, dry bool) (Dropped, error) {
	old, err := s.ungraced(ctx) // before the records: one of now may name it
	if err != nil {
		return Dropped{}, err
	}
	v, err := s.survey(ctx)
	if err != nil {
		return Dropped{}, err
	}
	staying := &survey{}
	var goArtifacts, goCaches, goContent []find
	staying.artifacts, goArtifacts = keep.Artifacts.beyond(v.artifacts, s.now())
	staying.caches, goCaches = keep.Caches.beyond(v.caches, s.now())
	d := Dropped{Artifacts: len(goArtifacts), Caches: len(goCaches)}
	named := staying.names()
	for _, f := range old {
		if !named[f.ref.SHA256] {
			goContent = append(goContent, f)
			d.Blobs++
			d.Bytes += f.ref.Size
		}
	}
	if dry {
		return d, nil
	}
	for _, f := range slices.Concat(goArtifacts, goCaches, goContent) { // records first
		if err := s.bucket.Delete(ctx, f.key); err != nil && !none(err) {
			return d, fmt.Errorf("drop %s: %w", f.key, err)
		}
	}
	return d, nil
}

// ungraced lists content, and what a writer that died left of any, that is older
// than its grace.
func (s *Store) ungraced(ctx context.Context) ([]find, error) {
	var old []find
	for one, err := range s.list(ctx, "") {
		if err != nil {
			return nil, err
		}
		loose := strings.HasPrefix(one.Key, blobs) || strings.HasSuffix(one.Key, torn)
		if !loose || s.now().Sub(one.ModTime) <= grace {
			continue
		}
		sum := one.Key[strings.LastIndexByte(one.Key, '/')+1:]
		old = append(old, find{key: one.Key, ref: Ref{SHA256: sum, Size: one.Size}, when: one.ModTime})
	}
	return old, nil
}

// torn is how the names end of files that are being written.
const torn = ".tmp"

package blob

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// Artifacts are the files that one attempt kept.
type Artifacts struct {
	Build   int64  // number
	Task    string // key
	Attempt int
	Created time.Time
	Pack    Ref // what parcel.Pack made of them; zero if there are none
	Files   []File
}

// artifactsRecord is the form in which they are kept. Which attempt they are of
// stands in the key.
type artifactsRecord struct {
	header
	Files []File `json:"files"`
}

const artifacts = "artifacts/"

// of is the prefix of a build's artifacts.
func of(number int64) string { return fmt.Sprintf("%s%010d/", artifacts, number) }

func (a *Artifacts) key() string { return fmt.Sprintf("%s%s.%d.json", of(a.Build), a.Task, a.Attempt) }

// KeepArtifacts records artifacts whose pack was put. Said again, it changes
// nothing.
func (s *Store) KeepArtifacts(ctx context.Context, a Artifacts) error {
	if _, _, err := plan.ParseKey(a.Task); err != nil || a.Build < 1 || a.Attempt < 1 {
		return fmt.Errorf("keep artifacts: %d, %q, %d is no attempt", a.Build, a.Task, a.Attempt)
	}
	r := artifactsRecord{header: header{Version: recordVersion, Created: s.now()}, Files: a.Files}
	if len(a.Files) > 0 {
		if err := s.mustHave(ctx, a.Pack); err != nil {
			return fmt.Errorf("keep artifacts: %w", err)
		}
		r.SHA256, r.Size = a.Pack.SHA256, a.Pack.Size
	}
	return s.write(ctx, a.key(), r, false)
}

// mustHave refuses a record of content that is not there.
func (s *Store) mustHave(ctx context.Context, ref Ref) error {
	if err := ref.check(); err != nil {
		return err
	}
	there, err := s.has(ctx, ref)
	if err == nil && !there {
		err = fmt.Errorf("content %s was never put", ref.SHA256)
	}
	return err
}

// Artifacts finds what the newest attempt of a task kept; ErrNone if none did, or
// if it is gone.
func (s *Store) Artifacts(ctx context.Context, number int64, task string) (Artifacts, error) {
	all, err := s.OfBuild(ctx, number)
	if err != nil {
		return Artifacts{}, err
	}
	for _, a := range all {
		if a.Task == task {
			return a, nil
		}
	}
	return Artifacts{}, fmt.Errorf("artifacts of %s: %w", task, ErrNone)
}

// OfBuild lists the artifacts of a build: for each task that has some those of the
// newest attempt, in the plan's order.
func (s *Store) OfBuild(ctx context.Context, number int64) ([]Artifacts, error) {
	newest := map[string]Artifacts{}
	for one, err := range s.list(ctx, of(number)) {
		if err != nil {
			return nil, err
		}
		a, ok := parseArtifactsKey(one.Key)
		if ok && a.Attempt > newest[a.Task].Attempt {
			newest[a.Task] = a
		}
	}
	var all []Artifacts
	for _, a := range newest {
		r := artifactsRecord{}
		err := s.read(ctx, a.key(), &r.Version, &r)
		if errors.Is(err, ErrNone) {
			continue // it went while the list was read
		}
		if err != nil {
			return nil, err
		}
		a.Created, a.Files, a.Pack = r.Created, r.Files, r.ref()
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b Artifacts) int {
		stageA, indexA, _ := plan.ParseKey(a.Task) // the keys were read with it
		stageB, indexB, _ := plan.ParseKey(b.Task)
		return cmp.Or(cmp.Compare(stageA, stageB), cmp.Compare(indexA, indexB))
	})
	return all, nil
}

// parseArtifactsKey is the reverse of Artifacts.key.
func parseArtifactsKey(key string) (Artifacts, bool) {
	a := Artifacts{}
	dir, file := path.Split(key)
	name, isRecord := strings.CutSuffix(file, ".json")
	task, attempt, two := strings.Cut(name, ".")
	_, _, err1 := plan.ParseKey(task)
	n, err2 := strconv.Atoi(attempt)
	number, err3 := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(dir, artifacts), "/"), 10, 64)
	a.Build, a.Task, a.Attempt = number, task, n
	return a, isRecord && two && errors.Join(err1, err2, err3) == nil && a.key() == key
}

// Forget drops the artifacts of builds that were removed for good, and the content
// that nothing else names.
func (s *Store) Forget(ctx context.Context, numbers []int64) error {
	var gone []Ref
	for _, number := range numbers {
		for one, err := range s.list(ctx, of(number)) {
			if err != nil {
				return err
			}
			h := header{}
			if err := s.read(ctx, one.Key, &h.Version, &h); err != nil {
				return err
			}
			if h.SHA256 != "" {
				gone = append(gone, h.ref())
			}
			if err := s.bucket.Delete(ctx, one.Key); err != nil && !none(err) {
				return fmt.Errorf("drop %s: %w", one.Key, err)
			}
		}
	}
	if len(gone) == 0 {
		return nil
	}
	rest, err := s.survey(ctx)
	if err != nil {
		return err
	}
	named := rest.names()
	for _, ref := range gone {
		if !named[ref.SHA256] {
			if err := s.bucket.Delete(ctx, ref.key()); err != nil && !none(err) {
				return fmt.Errorf("drop content: %w", err)
			}
		}
	}
	return nil
}

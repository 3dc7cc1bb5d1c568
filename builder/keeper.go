package builder

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"os"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/builder/parcel"
)

// ErrNothingKept is a Keeper's answer to who asks for what is not there.
var ErrNothingKept = errors.New("nothing is kept")

// ErrNoFiles is a Keeper's answer if what was kept are no files at all.
var ErrNoFiles = errors.New("no files are kept")

// A KeepError is a Keeper's refusal.
type KeepError struct{ Reason string }

func (e *KeepError) Error() string { return e.Reason }

// A Pack is a parcel on the builder's disk, until the call that it was given to
// returns.
type Pack struct {
	Path   string
	SHA256 string // hex
	Size   int64  // bytes
	Files  []build.Artifact
}

// keepTries is how often something is asked of a Keeper that does not answer: with
// the pauses between, it may be gone for half a minute.
const keepTries = 12

// persist asks a Keeper until it answers.
func (t *attempt) persist(ctx context.Context, ask func() error) error {
	wait := t.builder.pace.backoff()
	for tries := 1; ; tries++ {
		err := ask()
		var refused *KeepError
		if err == nil || errors.As(err, &refused) || errors.Is(err, ErrNothingKept) || errors.Is(err, ErrNoFiles) || errors.Is(err, parcel.ErrRefused) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if tries == keepTries {
			return err
		}
		t.log.Warn("artifacts and caches are not to be had, asking again", slog.Any("error", err))
		if err := wait(ctx); err != nil {
			return err
		}
	}
}

// furnish puts into the workspace what earlier builds and tasks left for this one.
func (t *attempt) furnish(ctx context.Context) error {
	task := &t.given.Task
	if len(t.given.Needs) == 0 && len(task.Caches) == 0 {
		return nil
	}
	root, err := os.OpenRoot(t.workspace.Dir)
	if err != nil {
		return fmt.Errorf("open workspace: %w", err)
	}
	defer root.Close()
	if err := t.fetchNeeds(ctx, root); err != nil {
		return err
	}
	return t.restoreCaches(ctx, root)
}

// keep leaves something for later builds and tasks. It gets how the work ended and
// returns how the attempt does. Artifacts are kept also of steps that failed: they
// may tell why.
func (t *attempt) keep(ctx context.Context, err error) error {
	if verdict, _ := judge(err); verdict == dispatch.Interrupted || ctx.Err() != nil {
		return err // another attempt follows, or nobody waits for this one
	}
	if len(t.given.Task.Artifacts) == 0 && len(t.caches) == 0 {
		return err
	}
	root, openErr := os.OpenRoot(t.workspace.Dir)
	if openErr != nil {
		return errors.Join(err, fmt.Errorf("open workspace: %w", openErr))
	}
	defer root.Close()
	if keepErr := t.keepArtifacts(ctx, root); keepErr != nil {
		keepErr = because(ctx, keepErr)
		_, reason := judge(keepErr)
		t.journal.note(t.masker, "%s", reason)
		if err == nil {
			err = keepErr
		}
	}
	if err == nil {
		t.saveCaches(ctx, root)
	}
	return err
}

// packFiles packs what patterns select into a file of the attempt's own, and has
// use do something with it.
func (t *attempt) packFiles(ctx context.Context, root *os.Root, patterns []string, kind parcel.Kind, use func(Pack) error) error {
	f, err := os.CreateTemp(t.builder.keeping(t.given.Attempt).dir, "parcel-")
	if err != nil {
		return fmt.Errorf("make room for a parcel: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	out := &summed{w: f, sum: sha256.New()}
	buffered := bufio.NewWriterSize(out, 1<<20)
	files, err := parcel.Pack(ctx, buffered, root, patterns, kind, parcel.DefaultLimits())
	if err != nil {
		return err
	}
	if err := errors.Join(buffered.Flush(), f.Close()); err != nil {
		return fmt.Errorf("write a parcel: %w", err)
	}
	p := Pack{Path: f.Name(), SHA256: hex.EncodeToString(out.sum.Sum(nil)), Size: out.n}
	for _, file := range files {
		p.Files = append(p.Files, build.Artifact(file))
	}
	return use(p)
}

// A summed writer counts what goes through it.
type summed struct {
	w   io.Writer
	sum hash.Hash
	n   int64
}

func (s *summed) Write(b []byte) (int, error) {
	n, err := s.w.Write(b)
	s.sum.Write(b[:n])
	s.n += int64(n)
	return n, err
}

// unpack puts a parcel into the workspace.
func unpack(ctx context.Context, root *os.Root, open func() (io.ReadCloser, error), kind parcel.Kind) (files int, size int64, err error) {
	r, err := open()
	if err != nil {
		return 0, 0, err
	}
	defer r.Close()
	return parcel.Unpack(ctx, bufio.NewReaderSize(r, 1<<20), root, kind, parcel.DefaultLimits())
}

// amount is a number of files, and their size, for people.
func amount(files int, size int64) string {
	if files == 1 {
		return fmt.Sprintf("1 file, %d bytes", size)
	}
	return fmt.Sprintf("%d files, %d bytes", files, size)
}

package builder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
)

// recordFile is the record's name in an attempt's folder. It is replaced as a
// whole, from a file with newEnding.
const (
	recordFile = "record.json"
	newEnding  = ".new"
)

// A keeping is an attempt's folder in the spool: its log and, in a builder that
// keeps results, its record.
type keeping struct {
	dir     string
	durable bool
}

func (b *Builder) keeping(a dispatch.Attempt) keeping {
	return keeping{dir: filepath.Join(b.SpoolDir, fileName(a)), durable: b.Keep > 0}
}

// base is the path of the log without its endings.
func (k keeping) base() string { return filepath.Join(k.dir, "log") }

// begin makes the folder. That the attempt is under way is noted for a restart,
// not for a power cut, which leaves nothing of it that could be told: it need not
// be synced.
func (k keeping) begin(a dispatch.Attempt) error {
	if err := os.Mkdir(k.dir, 0o700); err != nil || !k.durable {
		return err
	}
	data, err := encodeRecord(dispatch.Result{Attempt: a}, time.Time{})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(k.dir, recordFile), data, 0o600)
}

// end writes down how the attempt ended. It returns once a power cut cannot take
// that any more; the log must be durable before.
func (k keeping) end(r dispatch.Result, ended time.Time) error {
	if !k.durable {
		return nil
	}
	data, err := encodeRecord(r, ended)
	if err != nil {
		return err
	}
	name := filepath.Join(k.dir, recordFile)
	if err := writeSynced(name+newEnding, data); err != nil {
		return err
	}
	if err := os.Rename(name+newEnding, name); err != nil {
		return err
	}
	return errors.Join(syncDir(k.dir), syncDir(filepath.Dir(k.dir)))
}

// close removes the folder, unless the result may still be asked for.
func (k keeping) close(settled bool) error {
	if !settled && k.durable {
		return nil
	}
	return os.RemoveAll(k.dir)
}

// load reads the record. The folder must be the one of its attempt.
func (k keeping) load() (dispatch.Result, time.Time, error) {
	data, err := os.ReadFile(filepath.Join(k.dir, recordFile))
	if err != nil {
		return dispatch.Result{}, time.Time{}, fmt.Errorf("read record: %w", err)
	}
	r, ended, err := decodeRecord(data)
	if err == nil && fileName(r.Attempt) != filepath.Base(k.dir) {
		err = fmt.Errorf("record of %s lies in the folder of another attempt", r.Attempt)
	}
	return r, ended, err
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// keepFor is how long after its end an attempt's result is reported.
func (b *Builder) keepFor() time.Duration {
	if b.Keep > 0 {
		return b.Keep
	}
	return reportFor
}

// reapSpool removes what lies in the spool and belongs to no attempt of this
// process: with recorded, all but what resume can read.
func (b *Builder) reapSpool(recorded bool) error {
	entries, err := os.ReadDir(b.SpoolDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if b.has(e.Name()) {
			continue
		}
		k := keeping{dir: filepath.Join(b.SpoolDir, e.Name())}
		if recorded {
			_, _, loadErr := k.load()
			if loadErr == nil {
				continue
			}
			b.Log.Warn("what is left of an attempt cannot be read and is removed", slog.String("folder", k.dir), slog.Any("error", loadErr))
		}
		err = errors.Join(err, k.close(true))
	}
	return err
}

// resume takes up what Reap found to go on, and reports what an earlier process had
// no time to: results that were not taken, and attempts that died with it. Until that is done they are mentioned in
// each sign of life, so that the architect waits for them.
func (b *Builder) resume() {
	for _, o := range b.orphans {
		b.attempts.Go(func() { b.takeUp(o) })
	}
	b.orphans = nil
	if b.Keep <= 0 {
		return
	}
	entries, err := os.ReadDir(b.SpoolDir)
	if err != nil {
		b.Log.Error("results of an earlier process cannot be read", slog.Any("error", err))
	}
	for _, e := range entries {
		if b.has(e.Name()) { // taken by this process, before it came to look
			continue
		}
		k := keeping{dir: filepath.Join(b.SpoolDir, e.Name()), durable: true}
		r, ended, err := k.load()
		if err == nil && r.Verdict == "" {
			r, ended = restarted(r.Attempt, ""), b.Now()
			err = k.end(r, ended)
		}
		if err != nil {
			b.Log.Warn("result of an earlier process is lost", slog.String("folder", k.dir), slog.Any("error", err))
			continue
		}
		b.redeliver(k, r, ended)
	}
}

// restarted is the result of an attempt that ended with its builder's process. why,
// which holds no secret, says why it could not be taken up; "" if it never could.
func restarted(a dispatch.Attempt, why string) dispatch.Result {
	reason := "builder restarted"
	if why != "" {
		reason += ": " + why
	}
	return dispatch.Result{Attempt: a, Verdict: dispatch.Interrupted, Reason: reason, Log: build.Log{}}
}

// redeliver reports a result in a slot that takes no capacity.
func (b *Builder) redeliver(k keeping, result dispatch.Result, ended time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, has := b.slots[result.Attempt]; has {
		return
	}
	reporting, drop := context.WithCancelCause(context.Background())
	s := b.occupy(result.Attempt, func(error) {}, drop)
	s.over = true
	b.attempts.Go(func() { b.deliver(reporting, s, k, result, ended) })
}

// deliver reports a result to the end and leaves the slot.
func (b *Builder) deliver(reporting context.Context, s *slot, k keeping, result dispatch.Result, ended time.Time) {
	log := b.logFor(result.Attempt)
	r := newReporter(b.Architect, result.Attempt, k.base(), b.pace, log)
	r.stale = func() { s.drop(dispatch.ErrStale) }
	r.giveUp(b.Now, ended.Add(b.keepFor()))
	log.Info("reporting what an earlier process did", slog.String("verdict", string(result.Verdict)))
	if err := k.close(r.deliver(reporting, result)); err != nil {
		log.Warn("log stays on disk", slog.Any("error", err))
	}
	s.drop(nil)
	b.leave(result.Attempt, s)
}

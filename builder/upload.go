package builder

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"

	"github.com/velocity-ci/velocity/architect/dispatch"
)

// sendText sends the log while it grows, until the architect has all of it.
func (r *reporter) sendText(ctx context.Context, size *atomic.Int64) {
	u := upload{report: r, file: dispatch.TextFile, path: r.textPath()}
	defer u.close()
	for {
		over := false
		select {
		case <-r.more:
		case <-r.complete:
			over = true // before the size is read, so that no byte is missed
		case <-ctx.Done():
			return
		}
		if err := u.upTo(ctx, size.Load()); err != nil {
			r.failed(ctx, u.file, err)
			return
		}
		if over {
			return
		}
	}
}

// send sends a finished file, as far as the architect lacks it.
func (r *reporter) send(ctx context.Context, file dispatch.File, path string, size int64) {
	u := upload{report: r, file: file, path: path}
	defer u.close()
	if err := u.upTo(ctx, size); err != nil {
		r.failed(ctx, u.file, err)
	}
}

// failed tells of a log that could not be sent. The result goes out all the
// same, and says how long the log is.
func (r *reporter) failed(ctx context.Context, file dispatch.File, err error) {
	if ctx.Err() == nil {
		r.log.Warn("log not sent", slog.String("file", string(file)), slog.Any("error", err))
	}
}

// An upload carries one file over, from what the architect has of it.
type upload struct {
	report *reporter
	file   dispatch.File
	path   string
	open   *os.File // nil until there is something to send
	have   int64    // what the architect has
	buf    []byte
}

// upTo sends the file's bytes up to size. The architect's answers decide where it
// goes on: one that was restarted may have less than it had before.
func (u *upload) upTo(ctx context.Context, size int64) error {
	wait := u.report.pace.backoff()
	for u.have < size {
		data, err := u.read(size)
		if err != nil {
			return err
		}
		have := u.have
		err = u.report.insist(ctx, func(ctx context.Context) (err error) {
			chunk := dispatch.Chunk{Attempt: u.report.attempt, File: u.file, Offset: u.have, Data: data}
			have, err = u.report.to.Log(ctx, chunk)
			return err
		})
		if err != nil {
			return err
		}
		ahead := have > u.have
		u.have = max(0, min(have, size))
		if ahead {
			wait = u.report.pace.backoff()
		} else if err := wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// read returns the next bytes to send, valid until it is called again.
func (u *upload) read(size int64) ([]byte, error) {
	if u.open == nil {
		f, err := os.Open(u.path)
		if err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
		u.open = f
	}
	n := int(min(size-u.have, dispatch.MaxChunk))
	if n > cap(u.buf) {
		u.buf = make([]byte, n)
	}
	u.buf = u.buf[:n]
	if _, err := u.open.ReadAt(u.buf, u.have); err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	return u.buf, nil
}

func (u *upload) close() {
	if u.open != nil {
		_ = u.open.Close() // it was only read
	}
}

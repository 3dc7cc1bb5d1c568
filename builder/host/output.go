package host

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// outputBuffer is how much of a step's output is read at once.
	outputBuffer = 128 << 10

	// lastWords is how long a pipe may stay silent before it is given up, after
	// all processes within reach have ended: one out of reach holds it open.
	lastWords = time.Second
)

var buffers = sync.Pool{New: func() any { return new([outputBuffer]byte) }}

// An output carries what a command prints to two writers, through pipes.
type output struct {
	streams [2]stream
	copies  sync.WaitGroup
}

type stream struct {
	dst  io.Writer
	r, w *os.File
	err  error // of dst

	turns atomic.Int64 // odd while a read is waited for
	seen  int64        // turns when last looked at
}

func newOutput(stdout, stderr io.Writer) (*output, error) {
	o := new(output)
	for i, dst := range []io.Writer{stdout, stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			o.close()
			return nil, err
		}
		widen(w)
		s := &o.streams[i]
		s.dst, s.r, s.w = dst, r, w
	}
	return o, nil
}

// ends returns the files into which the command prints.
func (o *output) ends() (stdout, stderr *os.File) { return o.streams[0].w, o.streams[1].w }

// begin starts to carry, once the command has its ends of the pipes.
func (o *output) begin() {
	for i := range o.streams {
		s := &o.streams[i]
		_ = s.w.Close() // ours, the command has its own
		o.copies.Go(s.carry)
	}
}

// carry reads to the end whatever happens to the writer: a step must not block,
// nor die of a broken pipe, because its log cannot be kept.
func (s *stream) carry() {
	buf := buffers.Get().(*[outputBuffer]byte)
	defer buffers.Put(buf)
	for {
		s.turns.Add(1)
		n, err := s.r.Read(buf[:])
		s.turns.Add(1)
		if n > 0 && s.err == nil && s.dst != nil {
			_, s.err = s.dst.Write(buf[:n])
		}
		if err != nil {
			return
		}
	}
}

// finish waits for the end of the output and returns the first error of each
// writer. However slow a writer is, it gets everything that was printed.
func (o *output) finish() error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.copies.Wait()
	}()
	look := time.NewTicker(lastWords)
	defer look.Stop()
	for {
		select {
		case <-done:
			o.close()
			return errors.Join(o.streams[0].err, o.streams[1].err)
		case <-look.C:
			o.streams[0].giveUp()
			o.streams[1].giveUp()
		}
	}
}

// giveUp ends a read that has been waited for since the last call.
func (s *stream) giveUp() {
	turn := s.turns.Load()
	if turn == s.seen && turn%2 == 1 {
		_ = s.r.Close()
	}
	s.seen = turn
}

// close closes our ends.
func (o *output) close() {
	for i := range o.streams {
		for _, f := range []*os.File{o.streams[i].r, o.streams[i].w} {
			if f != nil {
				_ = f.Close() // a second close is harmless
			}
		}
	}
}

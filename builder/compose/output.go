package compose

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"sync"

	"github.com/velocity-ci/velocity/builder/executor"
)

// An output takes the plugin's output apart into that of the containers and its
// own. A container cannot speak for another: the plugin puts a name before each
// of its lines.
type output struct {
	stdout, stderr *splitter
}

func newOutput(containers []container, p executor.Project) *output {
	to := map[string]io.Writer{}
	for _, c := range containers {
		to[c.name] = &lockedWriter{w: p.Stream(c.label)}
	}
	return &output{stdout: &splitter{to: to, rest: p.Stdout}, stderr: &splitter{to: to, rest: p.Stderr}}
}

func (o *output) close() {
	o.stdout.flush()
	o.stderr.flush()
}

// A lockedWriter is written line by line from both of the plugin's streams.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// prefix is how the plugin begins a container's line.
var prefix = regexp.MustCompile(`^([a-zA-Z0-9._-]+) *\| `)

// maxLine bounds what is held of a line that does not end, in bytes.
const maxLine = 1 << 20

// A splitter sends each line of a stream to whom it belongs.
type splitter struct {
	to      map[string]io.Writer
	rest    io.Writer
	held    []byte    // of a line that has no end yet
	current io.Writer // of a line that was too long to be held
}

func (s *splitter) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		ended := line[len(line)-1] == '\n'
		s.held = append(s.held, line...)
		if !ended && len(s.held) < maxLine {
			continue
		}
		if err := s.pass(ended); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// pass hands on what is held.
func (s *splitter) pass(ended bool) error {
	w, text := s.current, s.held
	if w == nil {
		w = s.rest
		if found := prefix.FindSubmatch(text); found != nil && s.to[string(found[1])] != nil {
			w, text = s.to[string(found[1])], text[len(found[0]):]
		}
	}
	s.current = w
	if ended {
		s.current = nil
	}
	s.held = s.held[:0]
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("pass on output: %w", err)
	}
	return nil
}

func (s *splitter) flush() {
	if len(s.held) > 0 {
		_ = s.pass(true) // writers keep their own errors
	}
}

package spool

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/builder/require"
)

// A manual clock and its timers move only when told to.
type manual struct {
	mu     sync.Mutex
	now    time.Time
	timers []*timer
}

type timer struct {
	at time.Time
	f  func()
}

func (m *manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func (m *manual) After(d time.Duration, f func()) func() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &timer{m.now.Add(d), f}
	m.timers = append(m.timers, t)
	return func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		t.f = nil
		return true
	}
}

// pass moves the clock and runs what is due.
func (m *manual) pass(d time.Duration) {
	m.mu.Lock()
	m.now = m.now.Add(d)
	var due []func()
	for _, t := range m.timers {
		if t.f != nil && !t.at.After(m.now) {
			due = append(due, t.f)
			t.f = nil
		}
	}
	m.mu.Unlock()
	for _, f := range due {
		f()
	}
}

type fixture struct {
	*manual
	*Log
	path string
}

func newLog(t *testing.T, o Options) fixture {
	t.Helper()
	clock := &manual{now: time.Unix(1700000000, 0)}
	o.Now, o.After = clock.Now, clock.After
	dir := t.TempDir()
	return fixture{clock, Create(dir, "s0t1", o), filepath.Join(dir, "s0t1")}
}

func put(t *testing.T, w io.Writer, s string) {
	t.Helper()
	if n, err := io.WriteString(w, s); n != len(s) || err != nil {
		t.Fatalf("Write(%q) = %d, %v", s, n, err)
	}
}

// end closes what is open and returns the log's bytes.
func (f fixture) end(t *testing.T, s *Step) (string, Summary) {
	t.Helper()
	for _, w := range []io.Closer{s.Stdout, s.Stderr} {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	sum, err := f.Log.Close()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(f.path + ".times"); err == nil && info.Size() != sum.Times {
		t.Errorf("%d bytes of times, Close says %d", info.Size(), sum.Times)
	}
	sum.Times = 0 // is the format's business
	return f.text(t), sum
}

func (f fixture) text(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(f.path + ".txt")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

func TestLinesOfTwoStreamsDoNotMix(t *testing.T) {
	f := newLog(t, Options{})
	s := f.Step()
	put(t, s.Stdout, "out ")
	put(t, s.Stderr, "err 1\nerr")
	put(t, s.Stdout, "1\nout 2\nout")
	put(t, s.Stderr, " 2\n")
	got, sum := f.end(t, s)
	want := "err 1\nout 1\nout 2\nerr 2\nout"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if want := (Summary{Size: int64(len(want)), Lines: 5, SHA256: sha256.Sum256([]byte(want))}); sum != want {
		t.Errorf("Close = %+v, want %+v", sum, want)
	}
}

func TestPartialLineIsPassedOn(t *testing.T) {
	f := newLog(t, Options{})
	s := f.Step()
	put(t, s.Stdout, "Continue? ")
	f.pass(patience - 1)
	if got := f.text(t); got != "" {
		t.Errorf("log before patience ended: %q, want nothing", got)
	}
	f.pass(1)
	if got, want := f.text(t), "Continue? "; got != want {
		t.Errorf("log after patience ended: %q, want %q", got, want)
	}
	put(t, s.Stdout, "yes\nnext")
	f.pass(patience - 1)
	put(t, s.Stdout, "!\nlast")
	f.pass(patience - 1) // the timer of "next" is over by now, that of "last" is not
	if got, want := f.text(t), "Continue? yes\nnext!\n"; got != want {
		t.Errorf("log = %q, want %q", got, want)
	}
	put(t, s.Stdout, strings.Repeat("x", maxPartial))
	if got, want := len(f.text(t)), len("Continue? yes\nnext!\nlast")+maxPartial; got != want {
		t.Errorf("log after a partial line of more than %d bytes has %d bytes, want %d", maxPartial, got, want)
	}
	f.end(t, s)
}

// A timer that was stopped too late must not cut the next line in two.
func TestLateTimerDoesNothing(t *testing.T) {
	f := newLog(t, Options{})
	var timers []func()
	stopped := 0
	f.o.After = func(_ time.Duration, f func()) func() bool {
		timers = append(timers, f)
		return func() bool { stopped++; return false }
	}
	s := f.Step()
	put(t, s.Stdout, "one")
	put(t, s.Stdout, "\ntwo")
	timers[0]()
	if got, want := f.text(t), "one\n"; got != want || stopped != 1 {
		t.Errorf("log = %q after %d timers were stopped, want %q after 1", got, stopped, want)
	}
	f.end(t, s)
}

func TestTimes(t *testing.T) {
	f := newLog(t, Options{})
	s := f.Step()
	put(t, s.Stdout, "a\nb\n")
	f.pass(1500 * time.Microsecond)
	put(t, s.Stdout, "c\n")
	put(t, s.Stderr, "d\n")
	f.pass(-time.Hour)
	put(t, s.Stderr, "e\n")
	f.pass(2 * time.Hour)
	put(t, s.Stderr, "f\n")
	f.end(t, s)
	p, err := os.ReadFile(f.path + ".times")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseTimes(p)
	if err != nil {
		t.Fatal(err)
	}
	want := []Mark{{0, 0}, {4, 1}, {10, 3600001}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("marks (-want +got):\n%s", diff)
	}
}

func TestCapKeepsHeadAndTail(t *testing.T) {
	line := func(i int) string { return fmt.Sprintf("line %04d\n", i) } // 10 bytes
	lines := func(from, to int) string {
		var b strings.Builder
		for i := from; i < to; i++ {
			b.WriteString(line(i))
		}
		return b.String()
	}
	const mark = "[velocity: %d bytes left out here: the log of a step is capped at %s]\n"
	tests := []struct {
		name   string
		cap    int64
		writes []string
		want   string
	}{
		{"below", 400, []string{lines(0, 39)}, lines(0, 39)},
		{"all of the cap", 400, []string{lines(0, 17), lines(17, 40)}, lines(0, 40)},
		{"one byte more", 400, []string{lines(0, 40), "\n"}, lines(0, 30) + fmt.Sprintf(mark, 10, "400 bytes") + lines(31, 40) + "\n"},
		{"whole lines only", 399, []string{lines(0, 100)}, lines(0, 30) + fmt.Sprintf(mark, 610, "399 bytes") + lines(91, 100)},
		{"many writes", 1 << 10, strings.SplitAfter(strings.TrimSuffix(lines(0, 1000), "\n"), "\n"),
			lines(0, 76) + fmt.Sprintf(mark, 8980, "1 KiB") + strings.TrimSuffix(lines(974, 1000), "\n")},
		{"one line", 40, []string{strings.Repeat("a", 100) + strings.Repeat("b", 100)},
			strings.Repeat("a", 30) + "\n" + fmt.Sprintf(mark, 160, "40 bytes") + strings.Repeat("b", 10)},
		{"tiny", 1, []string{"abc"}, fmt.Sprintf(mark, 2, "1 bytes") + "c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newLog(t, Options{Cap: tt.cap})
			s := f.Step()
			for _, w := range tt.writes {
				put(t, s.Stdout, w)
			}
			got, _ := f.end(t, s)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
		})
	}
}

// The tail's lines have the times at which they came, not that of the end.
func TestTimesOfTail(t *testing.T) {
	f := newLog(t, Options{Cap: 330})
	s := f.Step()
	for range 40 {
		put(t, s.Stdout, strings.Repeat("x", 79)+"\n")
		f.pass(time.Second)
	}
	f.end(t, s)
	p, err := os.ReadFile(f.path + ".times")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseTimes(p)
	if err != nil {
		t.Fatal(err)
	}
	text := f.text(t)
	want := []Mark{{0, 0}, {80, 1000}, {160, 2000}, {240, 39000}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("marks of\n%s(-want +got):\n%s", text, diff)
	}
}

func TestStepsAreRangesOfTheLog(t *testing.T) {
	var appended bytes.Buffer
	f := newLog(t, Options{Cap: 20, OnAppend: func(offset int64, p []byte) {
		if offset != int64(appended.Len()) {
			t.Errorf("OnAppend(%d, %q), want offset %d", offset, p, appended.Len())
		}
		appended.Write(p)
	}})
	var got []Range
	for _, text := range []string{"one\n", strings.Repeat("two", 10), ""} {
		s := f.Step()
		put(t, s.Stdout, text)
		if err := s.Stdout.Close(); err != nil {
			t.Fatal(err)
		}
		got = append(got, s.Close())
		put(t, s.Stdout, "too late\n")
	}
	if _, err := f.Log.Close(); err != nil {
		t.Fatal(err)
	}
	end := int64(len(f.text(t)))
	if diff := cmp.Diff([]Range{{0, 4}, {4, end}, {end, end}}, got); diff != "" {
		t.Errorf("ranges (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(f.text(t), appended.String()); diff != "" {
		t.Errorf("bytes of OnAppend (-file +told):\n%s", diff)
	}
}

func TestStreamsMayBeWrittenAtOnce(t *testing.T) {
	f := newLog(t, Options{})
	s := f.Step()
	var wg sync.WaitGroup
	for i, w := range []io.Writer{s.Stdout, s.Stderr, s.Stdout} {
		wg.Go(func() {
			for j := range 500 {
				_, _ = fmt.Fprintf(w, "stream %d line %d\n", i, j)
			}
		})
	}
	wg.Wait()
	got, sum := f.end(t, s)
	if n := strings.Count(got, "\n"); n != 1500 || sum.Lines != 1500 {
		t.Errorf("log has %d lines, Close says %d, want 1500", n, sum.Lines)
	}
	for l := range strings.Lines(got) {
		var i, j int
		if n, err := fmt.Sscanf(l, "stream %d line %d\n", &i, &j); n != 2 || err != nil {
			t.Fatalf("mixed line %q", l)
		}
	}
}

func TestDiskErrorIsKept(t *testing.T) {
	f := newLog(t, Options{})
	s := f.Step()
	put(t, s.Stdout, "before\n")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.Have(t, "linux", err)
	whole := f.Log.text
	f.Log.text = full
	put(t, s.Stdout, "lost\n")
	f.Log.text = whole
	put(t, s.Stdout, "a log with a hole is no log\n")
	if err := f.Err(); err == nil || !strings.Contains(err.Error(), syscall.ENOSPC.Error()) {
		t.Errorf("Err = %v, want %v", err, syscall.ENOSPC)
	}
	s.Close()
	sum, err := f.Log.Close()
	if err == nil {
		t.Error("Close = nil, want the error of the disk")
	}
	if got := f.text(t); got != "before\n" || sum.Size != int64(len(got)) || sum.SHA256 != sha256.Sum256([]byte(got)) {
		t.Errorf("log %q, Close = %+v, want what was written before the error", got, sum)
	}
}

// A log that cannot be made is a failure of the disk like any other.
func TestFilesThatCannotBeMade(t *testing.T) {
	f := newLog(t, Options{})
	s := f.Log.Step()
	put(t, s.Stdout, "first\n")
	f.end(t, s)
	for name, dir := range map[string]string{"a log of another": filepath.Dir(f.path), "no folder": filepath.Join(f.path, "absent")} {
		l := Create(dir, "s0t1", Options{Now: f.Now})
		s := l.Step()
		put(t, s.Stdout, "second\n")
		if err := errors.Join(s.Stdout.Close(), s.Stderr.Close()); err != nil {
			t.Fatal(err)
		}
		s.Close()
		if err := l.Err(); !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: Err = %v, want an error of the file", name, err)
		}
	}
	if got := f.text(t); got != "first\n" {
		t.Errorf("the first log is now %q", got)
	}
}

// A step that prints nothing leaves no files.
func TestEmptyLogHasNoFiles(t *testing.T) {
	f := newLog(t, Options{})
	text, sum := f.end(t, f.Log.Step())
	if text != "" || sum.Size != 0 || sum.SHA256 != sha256.Sum256(nil) {
		t.Errorf("log %q, %+v, want nothing", text, sum)
	}
	for _, ending := range []string{".txt", ".times"} {
		if _, err := os.Stat(f.path + ending); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want no file", ending, err)
		}
	}
}

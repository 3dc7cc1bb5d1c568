package spool

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// abandoned is a log whose process was killed after write: nobody closes it.
func abandoned(t testing.TB, write func(l *Log)) (dir string, o Options) {
	t.Helper()
	clock := &manual{now: time.Unix(1700000000, 0)}
	o = Options{Now: clock.Now, After: clock.After, Resumable: true}
	dir = t.TempDir()
	write(Create(dir, "log", o))
	return dir, o
}

// takeUp opens what abandoned left, and the step that began at from.
func takeUp(t testing.TB, dir string, from int64, o Options) (*Log, *Step) {
	t.Helper()
	l, err := Reopen(dir, "log", o.Now(), o)
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Resume(from)
	if err != nil {
		t.Fatal(err)
	}
	return l, s
}

// Whatever two streams printed, in whatever pieces it came before and comes again
// after a kill: the log goes on where it was, and has every byte of both once.
func TestResumedStepHasEveryByteOnce(t *testing.T) {
	root := t.TempDir()
	text := rapid.StringMatching(`([a-c\n]{0,10}){0,3}`)
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(root, "")
		if err != nil {
			t.Fatal(err)
		}
		clock := &manual{now: time.Unix(1700000000, 0)}
		o := Options{Now: clock.Now, After: clock.After, Resumable: true}
		all := [2]string{text.Draw(t, "stdout"), text.Draw(t, "stderr")}
		l := Create(dir, "log", o)
		first := l.Step()
		_, _ = first.Stdout.Write([]byte(rapid.SampledFrom([]string{"", "before\n"}).Draw(t, "before")))
		first.Stdout.Close()
		from := first.Close().To
		write(t, clock, l.Step(), [2]string{all[0][:cut(t, all[0])], all[1][:cut(t, all[1])]})
		before, _ := os.ReadFile(filepath.Join(dir, "log.txt"))

		clock = &manual{now: clock.Now()} // the timers died with their process
		o.After = clock.After
		l, err = Reopen(dir, "log", o.Now(), o)
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Resume(from)
		if err != nil {
			t.Fatal(err)
		}
		write(t, clock, s, all)
		s.Stdout.Close()
		s.Stderr.Close()
		if err := s.Replayed(); err != nil {
			t.Fatalf("Replayed = %v", err)
		}
		s.Close()
		sum, err := l.Close()
		if err != nil {
			t.Fatal(err)
		}
		after, _ := os.ReadFile(filepath.Join(dir, "log.txt"))
		if !bytes.HasPrefix(after, before) {
			t.Fatalf("the log was %q and is %q", before, after)
		}
		if got := streamsOf(t, dir, after, from); got != all {
			t.Fatalf("the streams are %q in the log, want %q", got, all)
		}
		if sum.SHA256 != sha256.Sum256(after) || sum.Size != int64(len(after)) {
			t.Fatalf("summary %+v is not that of %q", sum, after)
		}
		if want := int64(strings.Count(strings.TrimSuffix(string(after), "\n")+"\n", "\n")); len(after) > 0 && sum.Lines != want {
			t.Fatalf("%d lines, want %d", sum.Lines, want)
		}
		times, _ := os.ReadFile(filepath.Join(dir, "log.times"))
		if _, err := ParseTimes(times); len(after) > 0 && err != nil || int64(len(times)) != sum.Times {
			t.Fatalf("%d bytes of times, summary says %d: %v", len(times), sum.Times, err)
		}
	})
}

func cut(t *rapid.T, s string) int { return rapid.IntRange(0, len(s)).Draw(t, "cut") }

// write gives a step's streams their texts in pieces, in any order; now and then
// a partial line is written since its time is up.
func write(t *rapid.T, clock *manual, s *Step, texts [2]string) {
	for texts[0] != "" || texts[1] != "" {
		i := rapid.IntRange(0, 1).Draw(t, "stream")
		if texts[i] == "" {
			i = 1 - i
		}
		n := rapid.IntRange(1, len(texts[i])).Draw(t, "piece")
		w := s.Stdout
		if i == 1 {
			w = s.Stderr
		}
		if _, err := w.Write([]byte(texts[i][:n])); err != nil {
			t.Fatalf("Write = %v", err)
		}
		texts[i] = texts[i][n:]
		if rapid.Bool().Draw(t, "pass") {
			clock.pass(time.Second)
		}
	}
}

// streamsOf takes the two streams out of a log again.
func streamsOf(t *rapid.T, dir string, text []byte, from int64) (streams [2]string) {
	if len(text) == 0 {
		return streams
	}
	data, err := os.ReadFile(filepath.Join(dir, "log.streams"))
	if err != nil {
		t.Fatal(err)
	}
	turns, _, err := parseStreams(data)
	if err != nil {
		t.Fatal(err)
	}
	for i, turn := range turns {
		to := int64(len(text))
		if i+1 < len(turns) {
			to = turns[i+1].Offset
		}
		if begin := max(from, turn.Offset); begin < to {
			streams[turn.From] += string(text[begin:to])
		}
	}
	return streams
}

// Output that is not the one that the log began with is refused at once, and
// output that is too short at the end.
func TestResumedStepRefusesOtherOutput(t *testing.T) {
	dir, o := abandoned(t, func(l *Log) { _, _ = l.Step().Stdout.Write([]byte("one\ntwo\n")) })
	l, s := takeUp(t, dir, 0, o)
	if _, err := s.Stdout.Write([]byte("one\n")); err != nil {
		t.Fatal(err)
	}
	if err := s.Replayed(); !errors.Is(err, ErrDiffers) {
		t.Errorf("Replayed of half the output = %v, want ErrDiffers", err)
	}
	if _, err := s.Stdout.Write([]byte("three\n")); !errors.Is(err, ErrDiffers) {
		t.Errorf("Write of other output = %v, want ErrDiffers", err)
	}
	if err := s.Replayed(); !errors.Is(err, ErrDiffers) {
		t.Errorf("Replayed of other output = %v, want ErrDiffers", err)
	}
	s.Close()
	if sum, err := l.Close(); err != nil || sum.Size != 8 {
		t.Errorf("Close = %+v, %v, want the 8 bytes of before", sum, err)
	}
}

// A step that was kept to its cap stays within it.
func TestResumedStepKeepsItsCap(t *testing.T) {
	line := strings.Repeat("x", 99) + "\n"
	dir, o := abandoned(t, func(*Log) {})
	o.Cap = 1000
	l := Create(dir, "log", o)
	_, _ = l.Step().Stdout.Write([]byte(strings.Repeat(line, 20)))
	l, s := takeUp(t, dir, 0, o)
	_, _ = s.Stdout.Write([]byte(strings.Repeat(line, 40)))
	if err := s.Replayed(); err != nil {
		t.Error(err)
	}
	s.Close()
	if sum, err := l.Close(); err != nil || sum.Size < 900 || sum.Size > 1100 {
		t.Errorf("Close = %+v, %v, want a log of the cap and a line that says so", sum, err)
	}
	// Its end is written: that is not taken up.
	l, err := Reopen(dir, "log", o.Now(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Resume(0); err == nil {
		t.Error("a step that had written its end was taken up")
	}
}

// A log of no bytes may have left empty files, or none.
func TestReopenBeforeTheFirstByte(t *testing.T) {
	for _, files := range [][]string{nil, {"log.txt"}, {"log.txt", "log.times", "log.streams"}} {
		dir, o := abandoned(t, func(*Log) {})
		for _, name := range files {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		l, s := takeUp(t, dir, 0, o)
		_, _ = s.Stderr.Write([]byte("one\n"))
		s.Close()
		if sum, err := l.Close(); err != nil || sum.Size != 4 {
			t.Errorf("files %v: Close = %+v, %v", files, sum, err)
		}
	}
}

// What is damaged is not taken up.
func TestReopenRefusesDamage(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"no streams":    func(dir string) error { return os.Remove(filepath.Join(dir, "log.streams")) },
		"other streams": func(dir string) error { return os.WriteFile(filepath.Join(dir, "log.streams"), []byte("x"), 0o600) },
		"other times":   func(dir string) error { return os.WriteFile(filepath.Join(dir, "log.times"), []byte("x"), 0o600) },
		"times beyond the end": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "log.times"), appendMark([]byte(timesHeader), Mark{}, Mark{Offset: 99}), 0o600)
		},
	} {
		dir, o := abandoned(t, func(l *Log) { _, _ = l.Step().Stdout.Write([]byte("one\n")) })
		if err := damage(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := Reopen(dir, "log", o.Now(), o); err == nil {
			t.Errorf("%s: the log was taken up", name)
		}
	}
}

// FuzzParseStreams holds what the parser accepts against what is written.
func FuzzParseStreams(f *testing.F) {
	f.Add([]byte(streamsHeader))
	f.Add([]byte(streamsHeader + "\x00\x29\x80"))
	f.Fuzz(func(t *testing.T, p []byte) {
		turns, whole, err := parseStreams(p)
		if err != nil {
			return
		}
		if whole > len(p) {
			t.Fatalf("%d bytes of %d are whole", whole, len(p))
		}
		last := int64(0)
		for _, turn := range turns {
			if turn.Offset < last || turn.From >= origins {
				t.Fatalf("turn %+v after %d", turn, last)
			}
			last = turn.Offset
		}
	})
}

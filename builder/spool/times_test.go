package spool

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func printTimes(marks []Mark) []byte {
	p := []byte(timesHeader)
	var last Mark
	for _, m := range marks {
		p = appendMark(p, last, m)
		last = m
	}
	return p
}

func TestParseTimes(t *testing.T) {
	tests := []struct {
		name, in string
		want     []Mark
		bad      bool
	}{
		{"empty", timesHeader, nil, false},
		{"marks", timesHeader + "\x00\x05\x80\x01\x00", []Mark{{0, 5}, {128, 5}}, false},
		{"cut before the time", timesHeader + "\x00\x05\x07", []Mark{{0, 5}}, false},
		{"cut within the offset", timesHeader + "\x00\x05\x80", []Mark{{0, 5}}, false},
		{"other version", "velocity-times 2\n", nil, true},
		{"no header", "", nil, true},
		{"offset of more than 64 bits", timesHeader + "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00", nil, true},
		{"sum of more than 63 bits", timesHeader + "\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x00", nil, true},
		{"time of more than 63 bits", timesHeader + "\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", nil, true},
	}
	for _, tt := range tests {
		got, err := ParseTimes([]byte(tt.in))
		if (err != nil) != tt.bad {
			t.Errorf("%s: ParseTimes(%q): error %v, want one: %v", tt.name, tt.in, err, tt.bad)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: ParseTimes(%q) (-want +got):\n%s", tt.name, tt.in, diff)
		}
	}
}

func FuzzParseTimes(f *testing.F) {
	f.Add([]byte(timesHeader))
	f.Add(printTimes([]Mark{{0, 0}, {10, 3}, {1 << 40, 1 << 33}}))
	f.Add([]byte(timesHeader + "\x80\x80\x80"))
	f.Fuzz(func(t *testing.T, p []byte) {
		marks, err := ParseTimes(p)
		if err != nil {
			return
		}
		for i, m := range marks {
			if m.Offset < 0 || m.Millis < 0 || i > 0 && (m.Offset < marks[i-1].Offset || m.Millis < marks[i-1].Millis) {
				t.Fatalf("ParseTimes(%q) = %v: not in order", p, marks)
			}
		}
		printed := printTimes(marks)
		again, err := ParseTimes(printed)
		if err != nil || !cmp.Equal(marks, again) {
			t.Errorf("ParseTimes(print(%v)) = %v, %v", marks, again, err)
		}
		if len(printed) > len(p) && !bytes.HasPrefix(p, printed) {
			t.Errorf("print(ParseTimes(%q)) = %q is longer", p, printed)
		}
	})
}

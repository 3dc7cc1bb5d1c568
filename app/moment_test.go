package app

import (
	"testing"
	"time"
)

func TestMoment(t *testing.T) {
	now := time.Date(2026, 11, 22, 16, 5, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"":                          {},
		"2h":                        now.Add(-2 * time.Hour),
		"1h30m":                     now.Add(-90 * time.Minute),
		"3d":                        now.AddDate(0, 0, -3),
		"2026-11-20":                time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC),
		"2026-11-20T12:00:00+01:00": time.Date(2026, 11, 20, 11, 0, 0, 0, time.UTC),
	} {
		if got, err := moment("--since", text, now); err != nil || !got.Equal(want) {
			t.Errorf("moment(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"yesterday", "-2h", "3", "-3d", "d", "99999999999d", "2026-13-01"} {
		if got, err := moment("--since", text, now); err == nil {
			t.Errorf("moment(%q) = %v; want an error", text, got)
		}
	}
}

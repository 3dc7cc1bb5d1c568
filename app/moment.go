package app

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
)

// moment reads a time that a person gives with a flag: a duration before now, with
// d for days of 24 hours, a day in UTC, or RFC 3339. "" is the zero time.
func moment(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	ago, err := ago(text)
	if err != nil {
		return time.Time{}, usage("%s %q is not a time", flag, text).
			hint("2h and 3d are so long ago; 2026-11-22 is the start of a day, 2026-11-22T16:05:00Z a time")
	}
	return now.Add(-ago), nil
}

// ago reads a duration that is not negative.
func ago(text string) (time.Duration, error) {
	const day = 24 * time.Hour
	const longest = 100 * 365
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil || n > longest {
			return 0, fmt.Errorf("%q is no number of days up to %d", days, longest)
		}
		return time.Duration(n) * day, nil
	}
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		err = fmt.Errorf("%s lies ahead", text)
	}
	return d, err
}

// taskState reads the state of a task to search for.
func taskState(text string) (build.State, error) {
	if s := build.State(text); text == "" || slices.Contains(build.States, s) {
		return s, nil
	}
	var names []string
	for _, s := range build.States {
		names = append(names, string(s))
	}
	return "", usage("%q is not the state of a task", text).hint("tasks are %s", strings.Join(names, ", "))
}

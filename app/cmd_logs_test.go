package app

import (
	"errors"
	"testing"

	"github.com/velocity-ci/velocity/architect/build"
)

// An earlier attempt without a log: the answer names those that have one.
func TestNoEarlierLog(t *testing.T) {
	of := func(attempt int) build.Retried { return build.Retried{Attempt: attempt, Log: build.Log{Bytes: 7}} }
	for name, c := range map[string]struct {
		task build.Task
		want string
	}{
		"lost":    {build.Task{Attempt: 4, Retried: []build.Retried{of(1), of(3)}}, "of its attempts 1 3 left one"},
		"over":    {build.Task{Attempt: 3, Log: build.Log{Bytes: 7}}, "of its attempts 3 left one"},
		"silent":  {build.Task{Attempt: 3, Retried: []build.Retried{{Attempt: 1}, {Attempt: 2}}}, "none of its attempts has left one yet"},
		"dropped": {build.Task{Attempt: 3, Retried: []build.Retried{of(2)}}, "it left one, which is kept no more"},
	} {
		var f *failure
		if err := noLog(&build.Build{}, &c.task, 2); !errors.As(err, &f) || f.advice != c.want {
			t.Errorf("%s: noLog = %v, advice %q; want %q", name, err, f.advice, c.want)
		}
	}
}

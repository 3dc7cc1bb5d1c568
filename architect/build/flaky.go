package build

import (
	"fmt"
	"slices"
)

// maxFailing bounds the names of failing tests that are kept of an attempt.
const maxFailing = 50

// failing are the names of the tests that are among the findings because they
// failed.
func failing(all []Finding) (names []string) {
	for _, f := range all {
		if f.Kind == FromTest && f.Level == LevelError && len(names) < maxFailing {
			names = append(names, f.Name)
		}
	}
	return names
}

// flaky adds what an earlier attempt of the task, of the same commit, tells about
// the tests of the one that ends it: one that failed then and does not fail now is
// flaky. An attempt of which no test is known to have passed says nothing.
func (t *Task) flaky(tests Tests, findings []Finding) (Tests, []Finding) {
	known := failing(findings)
	for _, f := range findings {
		if f.Flaky {
			known = append(known, f.Name)
		}
	}
	for _, r := range t.Retried {
		for _, name := range r.Failing {
			if tests.Flaky >= tests.Passed || slices.Contains(known, name) {
				continue
			}
			known = append(known, name)
			tests.Flaky++
			findings = append(slices.Clip(findings), Finding{
				Kind: FromTest, Name: name, Level: LevelWarning, Flaky: true, Message: fmt.Sprintf("failed in attempt %d", r.Attempt),
			})
		}
	}
	return tests, Bounded(findings)
}

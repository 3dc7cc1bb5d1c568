package build

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// An Image is a container image that a step built or pushed.
type Image struct {
	Name   string // as the step named it, tag included
	Digest string // content address: sha256:…
}

// Tests counts the tests that a task's reports tell of. Each test is in one of
// the first three.
type Tests struct {
	Passed, Failed, Skipped int
	Flaky                   int // of those that passed: how many had failed before, under the same inputs
}

// Kinds of findings: who found it.
const (
	FromTest     = "test"     // a test report
	FromSARIF    = "sarif"    // a static analysis
	FromCompiler = "compiler" // a line of the log, as file:line: message
)

// Levels of findings.
const (
	LevelError   = "error"
	LevelWarning = "warning"
	LevelNotice  = "notice"
)

// A Finding is something that a task has to say about the code it was run on. All
// texts are masked.
type Finding struct {
	Kind    string // FromTest, FromSARIF or FromCompiler
	Name    string // of the test or the rule; may be ""
	File    string // within the workspace, with slashes; "" if it has no place
	Line    int    // from 1; 0 if not known
	Column  int    // from 1; 0 if not known
	Level   string // LevelError, LevelWarning or LevelNotice
	Message string
	Flaky   bool // a test that failed and passed under the same inputs
}

// An Artifact is a file that was kept when its task succeeded.
type Artifact struct {
	Name   string // path within the workspace, with slashes
	Size   int64  // bytes
	SHA256 string // of its content, hex
}

// An Origin names the task whose success stands in for another.
type Origin struct {
	Build ID
	Task  string // key
}

// Zero reports whether o names no task.
func (o Origin) Zero() bool { return o == Origin{} }

// A Retried attempt failed and was followed by another.
type Retried struct {
	Attempt int
	Builder string
	Reason  string // with which retry followed: "exit 2, retry 1/3"
	Started time.Time
	Ended   time.Time
	Log     Log
	Failing []string // names of tests that failed in it, at most 50
}

// Bounds of what is kept of one task, so that a tool that finds fault with every
// line does not fill the repository.
const (
	MaxFindings      = 200
	MaxFindingBytes  = 2 << 10   // all texts of a finding together
	MaxArtifacts     = 1000      // files
	MaxArtifactBytes = 256 << 10 // all names of a task's artifacts together
)

// Bounded is what is kept of the findings of one attempt: failing tests first,
// then by level, otherwise in their order, with long texts cut.
func Bounded(all []Finding) []Finding {
	kept := slices.Clone(all)
	slices.SortStableFunc(kept, func(f, g Finding) int { return cmp.Compare(f.weight(), g.weight()) })
	kept = kept[:min(len(kept), MaxFindings)]
	for i := range kept {
		kept[i].cut()
	}
	return kept
}

// weight is the smaller the sooner a finding should be read.
func (f *Finding) weight() int {
	rank := slices.Index([]string{LevelError, LevelWarning, LevelNotice}, f.Level)
	switch {
	case rank < 0:
		return 4
	case rank == 0 && f.Kind == FromTest:
		return 0
	}
	return rank + 1
}

// cut shortens the texts to MaxFindingBytes in all. The names are cut to a
// quarter each: who wrote them chose them, and a message is worth more.
func (f *Finding) cut() {
	f.Name, f.File = Clip(f.Name, MaxFindingBytes/4), Clip(f.File, MaxFindingBytes/4)
	f.Message = Clip(f.Message, MaxFindingBytes-len(f.Name)-len(f.File))
}

// Clip cuts a text to at most n bytes, and not within a character. An ellipsis
// says that it did; n must have room for one.
func Clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	const mark = "…"
	n -= len(mark)
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + mark
}

// Listed is what is kept of an attempt's artifacts: those that the bounds allow,
// in their order.
func Listed(all []Artifact) []Artifact {
	size := 0
	for i, a := range all {
		if size += len(a.Name); i == MaxArtifacts || size > MaxArtifactBytes {
			return all[:i:i]
		}
	}
	return all
}

// A Success is a task that ended well, as far as it can stand in for another.
type Success struct {
	Origin    Origin // where it was really built
	Tests     Tests
	Artifacts []Artifact
}

// Success is what a task of the build can stand in with. ok is false if it did
// not succeed, or had nothing to do.
func (b *Build) Success(t *Task) (s Success, ok bool) {
	s = Success{Origin: t.Reused, Tests: t.Tests, Artifacts: t.Artifacts}
	if s.Origin.Zero() {
		s.Origin = Origin{Build: b.ID, Task: t.Key}
	}
	return s, t.State == Succeeded && !t.Skip
}

// Reliable reports whether other builds may rely on what came out of this one:
// it was pushed, asked for or due, and is neither a run of somebody's checkout nor
// of a pull request, nor of a stranger's code.
func (b *Build) Reliable() bool {
	switch b.Trigger.Event {
	case plan.EventPush, plan.EventManual, plan.EventSchedule:
		return b.Trigger.Trusted()
	}
	return false
}

// SkipAll makes every task of an outline one that is not needed.
func SkipAll(stages []StagePlan) {
	for i := range stages {
		for j := range stages[i].Tasks {
			stages[i].Tasks[j].Skip = true
		}
	}
}

// Keep makes successes stand in for the tasks of an outline, by their keys in it.
// What is not needed stays so.
func Keep(stages []StagePlan, successes map[string]Success) {
	for i := range stages {
		for j := range stages[i].Tasks {
			t := &stages[i].Tasks[j]
			if s, ok := successes[t.Key]; ok && !t.Skip {
				t.Reused, t.Tests, t.Artifacts = s.Origin, s.Tests, s.Artifacts
			}
		}
	}
}

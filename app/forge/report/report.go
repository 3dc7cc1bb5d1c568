// Package report shows builds on a forge. A Composer makes the check of a build,
// or of one of its tasks, from what is recorded; a Reporter brings what a forge
// shows up to it, whatever fails on the way.
//
// Names, reasons, findings and logs come from repositories and from the programs
// they run. Nothing of them is markup where it is shown: it stands in code spans
// and fenced blocks that it cannot leave, and what cannot be seen is spelled out.
// Secrets must have been masked before.
package report

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A Granularity says which checks a build has.
type Granularity string

// The granularities, as pipelines write them after `checks`.
const (
	OfBuild Granularity = "build" // one check; also what "" means
	OfTasks Granularity = "tasks" // one more for each task
)

// A Shown is a build on the repository where it is shown. Nobody changes the build
// or the plan any more: what happens next is another Shown.
type Shown struct {
	Repository forge.Repository
	Build      *build.Build
	Plan       *plan.Plan // nil if none could be drawn
}

// A Subject is what one check is about: a build, or one of its tasks.
type Subject struct {
	Shown
	Task string // key; "" for the build
}

// maxName bounds the name of a check, in bytes: forges refuse longer ones.
const maxName = 200

// Name is the same for every build of the pipeline: people require it by name. A
// blueprint that was started by itself has a name of its own, so that it cannot
// stand in for a pipeline.
func (s Subject) Name() string {
	name := "velocity / " + s.Build.Name
	if s.Build.Kind == plan.OfBlueprint {
		name += " (blueprint)"
	}
	if t, ok := s.task(); ok {
		name += " / " + t.Name
	}
	name = visible(name, "")
	if len(name) <= maxName {
		return name
	}
	sum := sha256.Sum256([]byte(name)) // two long names must not become one
	return build.Clip(name, maxName-9) + " " + hex.EncodeToString(sum[:4])
}

// External is the id of the build, with a slash and the task's key behind it if it
// is about one. While the build is held it ends in "/approval": a final check never
// moves again, so that the approved build's is another one.
func (s Subject) External() string {
	id := s.Build.ID.String()
	switch {
	case s.Task != "":
		return id + "/" + s.Task
	case s.Build.AwaitsApproval():
		return id + approval
	}
	return id
}

const approval = "/approval"

// ParseExternal finds the build, and the key of the task if there is one, that a
// check is about.
func ParseExternal(external string) (id build.ID, task string, err error) {
	text, key, _ := strings.Cut(external, "/")
	if id, err = build.ParseID(text); err != nil {
		return build.ID{}, "", fmt.Errorf("check %q: %w", external, err)
	}
	if key == "" || "/"+key == approval {
		return id, "", nil
	}
	if _, _, err := plan.ParseKey(key); err != nil {
		return build.ID{}, "", fmt.Errorf("check %q: %w", external, err)
	}
	return id, key, nil
}

func (s Subject) task() (*build.Task, bool) {
	if s.Task == "" {
		return nil, false
	}
	return s.Build.Task(s.Task)
}

// pull is the number of the pull request that a ref belongs to; 0 if it is none.
func pull(ref string) int64 {
	for _, prefix := range []string{"refs/pull/", "refs/merge-requests/"} {
		if rest, ok := strings.CutPrefix(ref, prefix); ok {
			number, _, _ := strings.Cut(rest, "/")
			n, _ := strconv.ParseInt(number, 10, 64)
			return max(n, 0)
		}
	}
	return 0
}

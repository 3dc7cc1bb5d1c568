package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Task is a blueprint made ready to build.
type Task struct {
	Key         string `json:"key"`  // s<stage>t<index>, both from 0: used in paths and refs
	Name        string `json:"name"` // shown to people, unique within the plan
	Blueprint   string `json:"blueprint"`
	Description string `json:"description,omitempty"`

	Skip    bool     `json:"skip,omitempty"`         // its `when` is false: it succeeds at once, reason "skipped"
	MayFail bool     `json:"ignoreErrors,omitempty"` // its failure does not fail the stage
	Timeout Duration `json:"timeout,omitempty"`      // of the whole attempt; 0 is the builder's limit
	Retry   Retry    `json:"retry,omitzero"`
	Effects bool     `json:"effects,omitempty"` // it changes the world: never reused, never repeated by itself

	Git Git `json:"git,omitzero"`
	// Labels are what its builder must have, with these values.
	Labels map[string]string `json:"labels,omitempty"`

	Parameters  []Parameter `json:"parameters,omitempty"`  // in the order in which they are resolved
	Environment []Variable  `json:"environment,omitempty"` // of every step; a step's own comes after it
	Registries  []Registry  `json:"registries,omitempty"`  // to log in to, before the first step

	Needs     []string `json:"needs,omitempty"`     // keys of earlier tasks whose artifacts are unpacked before the first step
	Caches    []Cache  `json:"caches,omitempty"`    // unpacked before the first step, kept after success
	Artifacts []string `json:"artifacts,omitempty"` // patterns of files to keep
	Reports   Reports  `json:"reports,omitzero"`

	// Inputs are the patterns of all files that its outcome depends on, and
	// ReuseKey stands for their content and for everything else that it depends on:
	// a success under an equal key may stand in for it. Without a key it is built.
	Inputs   []string `json:"inputs,omitempty"`
	ReuseKey string   `json:"reuseKey,omitempty"` // SHA-256, hex

	Steps []Step `json:"steps"`
}

// Git says how a task's workspace is checked out.
type Git struct {
	Submodule bool `json:"submodule,omitempty"`
	Depth     int  `json:"depth,omitempty"` // 0 is the whole history; the 2019 files set it
}

// A Retry says how often a task that failed is tried again. Interrupted attempts
// are no failures and do not count.
type Retry struct {
	Times   int      `json:"times"`             // further attempts, 1 to MaxRetries
	Backoff Duration `json:"backoff,omitempty"` // before the first of them; doubled before each further one
}

// MaxRetries bounds Retry.Times.
const MaxRetries = 10

// CleanupTime is what the steps that always run have, all together, once their
// attempt was canceled or its time is up.
const CleanupTime = time.Minute

// Cleanup is how much longer than usual the task may take to end once it is told
// to: CleanupTime if there is something in it that always runs.
func (t *Task) Cleanup() time.Duration {
	if slices.ContainsFunc(t.Steps, func(s Step) bool { return s.Always && !s.Skip }) {
		return CleanupTime
	}
	return 0
}

// A Registry is where the task's steps may pull from and push to. Either Use is
// set, or Username and Password.
type Registry struct {
	Address   Text       `json:"address"`
	Username  Text       `json:"username,omitempty"`
	Password  Text       `json:"password,omitempty"`  // refers to a secret parameter
	Use       string     `json:"use,omitempty"`       // executable in the repository that prints both
	Arguments []Variable `json:"arguments,omitempty"` // for Use
	At        string     `json:"at"`
}

// A Cache is a set of paths that later builds of the repository find again.
type Cache struct {
	Key   Text     `json:"key"`
	Files []string `json:"files,omitempty"` // patterns of files whose content is part of the key
	Paths []string `json:"paths"`           // relative to the workspace
}

// Reports are the patterns of files in which tools tell what they found.
type Reports struct {
	JUnit []string `json:"junit,omitempty"`
	SARIF []string `json:"sarif,omitempty"`
}

// Key is the address of task index of stage, both counted from 0.
func Key(stage, index int) string {
	return "s" + strconv.Itoa(stage) + "t" + strconv.Itoa(index)
}

// ParseKey is the reverse of Key.
func ParseKey(key string) (stage, index int, err error) {
	s, t, ok := strings.Cut(strings.TrimPrefix(key, "s"), "t")
	stage, err1 := strconv.Atoi(s)
	index, err2 := strconv.Atoi(t)
	if !ok || err1 != nil || err2 != nil || stage < 0 || index < 0 || Key(stage, index) != key {
		return 0, 0, fmt.Errorf("task key %q is not of the form s0t0", key)
	}
	return stage, index, nil
}

// Task finds a task by its key.
func (p *Plan) Task(key string) (*Task, bool) {
	stage, index, err := ParseKey(key)
	if err != nil || stage >= len(p.Stages) || index >= len(p.Stages[stage].Tasks) {
		return nil, false
	}
	return &p.Stages[stage].Tasks[index], true
}

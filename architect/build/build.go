package build

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// An ID names a build everywhere: the store it is kept in, and its number there.
type ID struct {
	Store  string
	Number int64 // from 1; gaps are allowed
}

func (id ID) String() string { return id.Store + "-" + strconv.FormatInt(id.Number, 10) }

// Zero reports whether id names no build.
func (id ID) Zero() bool { return id == ID{} }

// ParseID reads k3f9a2-1234; leading zeros of the number are allowed.
func ParseID(s string) (ID, error) {
	store, number, ok := strings.Cut(s, "-")
	n, err := strconv.ParseUint(number, 10, 63) // unsigned: no sign may stand here
	if !ok || err != nil || n < 1 || !ValidStore(store) {
		return ID{}, fmt.Errorf("build id %q is not of the form k3f9a2-1234", s)
	}
	return ID{Store: store, Number: int64(n)}, nil
}

// ValidStore accepts six lower-case letters and digits.
func ValidStore(s string) bool {
	return len(s) == 6 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// MarshalText writes the id as String does.
func (id ID) MarshalText() ([]byte, error) {
	if id.Zero() {
		return nil, nil
	}
	return []byte(id.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*id = ID{}
		return nil
	}
	v, err := ParseID(string(text))
	*id = v
	return err
}

// A Request is what a build was made for: it never changes.
type Request struct {
	ID         ID
	Repository string // as people know it: the served path or the forge's name
	Kind       plan.Kind
	Name       string // of the pipeline or blueprint
	Plan       string // digest; "" when no plan could be drawn
	Trigger    plan.Trigger
	Config     plan.Commit // where the configuration was read
	Author     string      // of the commit: "Name <email>"; "" if it could not be read
	Subject    string      // first line of the commit's message, at most 200 bytes
	Group      string      // builds of one group run one after the other; "" for none
	Held       bool        // nothing of it starts before somebody approves it
	Stages     []StagePlan // the outline of the plan
}

// A StagePlan is the outline of a stage: names without what they do.
type StagePlan struct {
	Name  string
	Tasks []TaskPlan
}

// A TaskPlan is the outline of a task.
type TaskPlan struct {
	Key  string
	Name string
	Rules
	Steps []StepPlan

	// Reused is the task whose success stands in for this one. Tests and Artifacts
	// are what that one left behind; they are empty without it.
	Reused    Origin
	Tests     Tests
	Artifacts []Artifact
}

// Rules are what the plan says about how a task moves.
type Rules struct {
	MayFail  bool       // its failure does not fail the stage
	Skip     bool       // it is not needed: it succeeds when its turn comes
	Effects  bool       // it changes the world: what was begun is not begun again
	Retry    plan.Retry // after failures, unless it has effects
	ReuseKey string     // successes under one key stand in for each other; "" for none
}

// A StepPlan is the outline of a step; the implicit setup comes first.
type StepPlan struct {
	Type plan.StepType
	Name string
}

// task is the task of a build that was just submitted.
func (p *TaskPlan) task() Task {
	t := Task{Key: p.Key, Name: p.Name, Rules: p.Rules, State: Waiting, Reused: p.Reused, Tests: p.Tests, Artifacts: p.Artifacts}
	for _, s := range p.Steps {
		t.Steps = append(t.Steps, Step{Type: s.Type, Name: s.Name, State: Waiting})
	}
	return t
}

// Plan is the reverse of task: the outline that t was made of.
func (t *Task) Plan() TaskPlan {
	p := TaskPlan{Key: t.Key, Name: t.Name, Rules: t.Rules, Reused: t.Reused}
	if !t.Reused.Zero() {
		p.Tests, p.Artifacts = t.Tests, t.Artifacts
	}
	for _, s := range t.Steps {
		p.Steps = append(p.Steps, StepPlan{Type: s.Type, Name: s.Name})
	}
	return p
}

// Outline is the part of a plan that a build's state is built on.
func Outline(p *plan.Plan) []StagePlan {
	stages := make([]StagePlan, len(p.Stages))
	for i, s := range p.Stages {
		stages[i] = StagePlan{Name: s.Name, Tasks: make([]TaskPlan, len(s.Tasks))}
		for j, t := range s.Tasks {
			steps := []StepPlan{{Type: plan.StepSetup, Name: "setup"}}
			for _, step := range t.Steps {
				steps = append(steps, StepPlan{Type: step.Type, Name: step.Name})
			}
			stages[i].Tasks[j] = TaskPlan{Key: t.Key, Name: t.Name, Steps: steps, Rules: Rules{
				MayFail: t.MayFail, Skip: t.Skip, Effects: t.Effects, Retry: t.Retry, ReuseKey: t.ReuseKey,
			}}
		}
	}
	return stages
}

// A Build is the state that a request's moves add up to. Its stages' states and
// its own are derived from its tasks.
type Build struct {
	Request
	Seq      int       // number of moves so far
	Created  time.Time // when it was submitted
	Started  time.Time // when its first task left Waiting; zero before
	Finished time.Time // zero while it is not final
	Refused  string    // why no plan could be drawn; "" if one was
	Canceled string    // why it shall end: "canceled", "superseded by …"; "" if it shall not
	Approval *Approval // nil if nobody approved it; never changed in place
	Notices  []string  // what went wrong beside the build: a report, a plugin
	Stages   []Stage   // hides the outline of the same name
}

// A Stage is a set of tasks that may run at the same time.
type Stage struct {
	Name  string
	Tasks []Task
}

// A Task is where one task stands. Its fields are those of the current attempt.
type Task struct {
	Key, Name string
	Rules
	State    State
	Reason   string
	Attempt  int       // the current one, from 1; 0 before the first
	Builder  string    // of the current attempt
	Ready    time.Time // when it may be given to a builder: in the future while it waits to be tried again
	Started  time.Time // of the current attempt
	Finished time.Time
	Steps    []Step
	Log      Log
	Lost     []Lost    // earlier attempts that ended without a verdict, oldest first
	Retried  []Retried // earlier attempts that failed, oldest first

	// What the attempt that ended the task left behind. Of a reused task it is the
	// origin's.
	Tests     Tests
	Findings  []Finding  // at most MaxFindings, failing tests first
	Artifacts []Artifact // at most MaxArtifacts

	Reused Origin // the task whose success stands in for it once its turn has come; see TaskPlan
}

// A Lost attempt ended without a verdict.
type Lost struct {
	Attempt int
	Builder string
	Reason  string
	Ended   time.Time
}

// A Step is where one step of the current attempt stands.
type Step struct {
	Type     plan.StepType
	Name     string
	State    State // Waiting, Building, Succeeded or Failed
	Reason   string
	Exit     int
	Image    string  // content address of the image it ran in, if any
	Images   []Image // that it built or pushed; never changed in place
	Started  time.Time
	Finished time.Time
	From, To int64 // its bytes within the task's log
}

// A Log is what the builder says about the log of an attempt, so that anyone can
// see whether a copy of it is whole.
type Log struct {
	Bytes  int64
	Lines  int
	SHA256 string // hex; "" while the attempt runs
}

// Task finds a task by its key.
func (b *Build) Task(key string) (*Task, bool) {
	stage, index, err := plan.ParseKey(key)
	if err != nil || stage >= len(b.Stages) || index >= len(b.Stages[stage].Tasks) {
		return nil, false
	}
	return &b.Stages[stage].Tasks[index], true
}

// Clone is a copy that shares nothing which later moves change. Steps and lost
// attempts are shared: moves replace them and never change them in place, so a
// copy costs little for builds of thousands of tasks.
func (b *Build) Clone() *Build {
	c := *b
	c.Notices = slices.Clone(b.Notices)
	c.Stages = slices.Clone(b.Stages)
	for i := range c.Stages {
		c.Stages[i].Tasks = slices.Clone(c.Stages[i].Tasks)
	}
	return &c
}

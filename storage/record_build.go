package storage

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// buildFile holds the whole state of a build.
const buildFile = "build.json"

type buildRecord struct {
	Version    int           `json:"version"`
	ID         build.ID      `json:"id,omitzero"`      // always there in what is stored; a run that is
	Number     int64         `json:"number,omitempty"` // not recorded is printed without
	State      build.State   `json:"state"`            // derived; for readers
	Reason     string        `json:"reason,omitempty"` // derived; for readers
	Seq        int           `json:"seq"`
	Repository string        `json:"repository,omitempty"`
	Kind       plan.Kind     `json:"kind,omitempty"`
	Name       string        `json:"name"`
	Plan       string        `json:"plan,omitempty"`
	Config     plan.Commit   `json:"config,omitempty"`
	Author     string        `json:"author,omitempty"`
	Subject    string        `json:"subject,omitempty"`
	Group      string        `json:"group,omitempty"`
	Held       bool          `json:"held,omitempty"`
	Trigger    plan.Trigger  `json:"trigger"`
	Created    instant       `json:"created"`
	Started    instant       `json:"started,omitzero"`
	Finished   instant       `json:"finished,omitzero"`
	Refused    string        `json:"refused,omitempty"`
	Canceled   string        `json:"canceled,omitempty"`
	Notices    []string      `json:"notices,omitempty"`
	Stages     []stageRecord `json:"stages"`

	Approval *approvalRecord `json:"approval,omitempty"`
}

type stageRecord struct {
	Name  string       `json:"name"`
	State build.State  `json:"state"` // derived; for readers
	Tasks []taskRecord `json:"tasks"`
}

type taskRecord struct {
	Key  string `json:"key"`
	Name string `json:"name"`
	rulesRecord
	State    build.State  `json:"state"`
	Reason   string       `json:"reason,omitempty"`
	Attempt  int          `json:"attempt,omitempty"`
	Builder  string       `json:"builder,omitempty"`
	Ready    instant      `json:"ready,omitzero"`
	Started  instant      `json:"started,omitzero"`
	Finished instant      `json:"finished,omitzero"`
	Steps    []stepRecord `json:"steps,omitempty"`
	Log      logRecord    `json:"log,omitzero"`
	Lost     []lostRecord `json:"lost,omitempty"`

	Retried   []retriedRecord  `json:"retried,omitempty"`
	Tests     testsRecord      `json:"tests,omitzero"`
	Findings  []findingRecord  `json:"findings,omitempty"`
	Artifacts []artifactRecord `json:"artifacts,omitempty"`
	Reused    originRecord     `json:"reused,omitzero"`
}

type stepRecord struct {
	Type     plan.StepType `json:"type"`
	Name     string        `json:"name,omitempty"`
	State    build.State   `json:"state"`
	Reason   string        `json:"reason,omitempty"`
	Exit     int           `json:"exit,omitempty"`
	Image    string        `json:"image,omitempty"`
	Images   []imageRecord `json:"images,omitempty"`
	Started  instant       `json:"started,omitzero"`
	Finished instant       `json:"finished,omitzero"`
	From     int64         `json:"from,omitempty"`
	To       int64         `json:"to,omitempty"`
}

type logRecord struct {
	Bytes  int64  `json:"bytes"`
	Lines  int    `json:"lines"`
	SHA256 string `json:"sha256,omitempty"`
}

type lostRecord struct {
	Attempt int     `json:"attempt"`
	Builder string  `json:"builder,omitempty"`
	Reason  string  `json:"reason,omitempty"`
	Ended   instant `json:"ended"`
}

func encodeBuild(b *build.Build) ([]byte, error) {
	r := buildRecord{
		Version: recordVersion, ID: b.ID, Number: b.ID.Number, State: b.State(), Reason: b.Reason(), Seq: b.Seq,
		Repository: b.Repository, Kind: b.Kind, Name: b.Name, Plan: b.Plan, Config: b.Config,
		Author: b.Author, Subject: b.Subject, Group: b.Group, Held: b.Held, Trigger: storedTrigger(b.Trigger),
		Created: stored(b.Created), Started: stored(b.Started), Finished: stored(b.Finished),
		Refused: b.Refused, Canceled: b.Canceled, Notices: b.Notices, Approval: storedApproval(b.Approval),
		Stages: make([]stageRecord, len(b.Stages)),
	}
	for i := range b.Stages {
		s := &b.Stages[i]
		r.Stages[i] = stageRecord{Name: s.Name, State: s.State(), Tasks: make([]taskRecord, len(s.Tasks))}
		for j := range s.Tasks {
			r.Stages[i].Tasks[j] = storedTask(&s.Tasks[j])
			r.Stages[i].Tasks[j].Reason = b.TaskReason(&s.Tasks[j])
		}
	}
	return encode(buildFile, r)
}

func storedTask(t *build.Task) taskRecord {
	r := taskRecord{
		Key: t.Key, Name: t.Name, rulesRecord: rulesRecord(t.Rules), State: t.State, Attempt: t.Attempt, Builder: t.Builder,
		Ready: stored(t.Ready), Started: stored(t.Started), Finished: stored(t.Finished), Log: logRecord(t.Log),
		Retried: storedRetried(t.Retried), Tests: testsRecord(t.Tests), Findings: storedFindings(t.Findings),
		Artifacts: storedArtifacts(t.Artifacts), Reused: originRecord(t.Reused),
	}
	for _, s := range t.Steps {
		r.Steps = append(r.Steps, storedStep(s))
	}
	for _, l := range t.Lost {
		r.Lost = append(r.Lost, lostRecord{Attempt: l.Attempt, Builder: l.Builder, Reason: l.Reason, Ended: stored(l.Ended)})
	}
	return r
}

func storedStep(s build.Step) stepRecord {
	return stepRecord{
		Type: s.Type, Name: s.Name, State: s.State, Reason: s.Reason, Exit: s.Exit, Image: s.Image,
		Images: storedImages(s.Images), Started: stored(s.Started), Finished: stored(s.Finished), From: s.From, To: s.To,
	}
}

// decodeBuild reads what encodeBuild printed. What is derived must agree with
// what it is derived from: it is what other programs read.
func decodeBuild(data []byte) (*build.Build, error) {
	var r buildRecord
	if err := decode(buildFile, data, &r); err != nil {
		return nil, err
	}
	b, err := r.build()
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", buildFile, err)
	}
	return b, nil
}

func (r *buildRecord) build() (*build.Build, error) {
	if r.ID.Zero() || r.ID.Number != r.Number {
		return nil, fmt.Errorf("id %q and number %d do not agree", r.ID, r.Number)
	}
	trigger, err := loadedTrigger(r.Trigger)
	if err := cmp.Or(err, checkCommits(r.Config)); err != nil {
		return nil, err
	}
	approval, err := r.Approval.approval()
	if err != nil {
		return nil, err
	}
	b := &build.Build{
		Request: build.Request{
			ID: r.ID, Repository: r.Repository, Kind: r.Kind, Name: r.Name, Plan: r.Plan, Config: r.Config,
			Author: r.Author, Subject: r.Subject, Group: r.Group, Held: r.Held, Trigger: trigger,
		},
		Seq: r.Seq, Created: r.Created.time(), Started: r.Started.time(), Finished: r.Finished.time(),
		Refused: r.Refused, Canceled: r.Canceled, Notices: r.Notices, Approval: approval,
	}
	for i, s := range r.Stages {
		stage, outline := build.Stage{Name: s.Name}, build.StagePlan{Name: s.Name}
		for j, t := range s.Tasks {
			task, err := t.task(plan.Key(i, j))
			if err != nil {
				return nil, err
			}
			stage.Tasks = append(stage.Tasks, task)
			outline.Tasks = append(outline.Tasks, task.Plan())
		}
		b.Stages = append(b.Stages, stage)
		b.Request.Stages = append(b.Request.Stages, outline)
	}
	if b.State() != r.State {
		return nil, fmt.Errorf("it says %q, but its tasks add up to %q", r.State, b.State())
	}
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks { // the reason of a task that never ran is derived
			if t := &b.Stages[i].Tasks[j]; t.State == build.Waiting && t.Reason == b.TaskReason(t) {
				t.Reason = ""
			}
		}
	}
	return b, nil
}

func (r *taskRecord) task(key string) (build.Task, error) {
	t := build.Task{
		Key: r.Key, Name: r.Name, Rules: build.Rules(r.rulesRecord), State: r.State, Reason: r.Reason, Attempt: r.Attempt,
		Builder: r.Builder, Ready: r.Ready.time(), Started: r.Started.time(), Finished: r.Finished.time(), Log: build.Log(r.Log),
		Retried: loadedRetried(r.Retried), Tests: build.Tests(r.Tests), Findings: loadedFindings(r.Findings),
		Reused: build.Origin(r.Reused),
	}
	if r.Key != key || r.Attempt < 0 || !slices.Contains(build.States, r.State) {
		return t, fmt.Errorf("task %q, %q at attempt %d, cannot be where %s is", r.Key, r.State, r.Attempt, key)
	}
	var err error
	if t.Artifacts, err = loadedArtifacts(r.Artifacts); err != nil {
		return t, fmt.Errorf("task %s: %w", key, err)
	}
	for i := range r.Steps {
		step, err := r.Steps[i].step()
		if err != nil {
			return t, fmt.Errorf("task %s: %w", key, err)
		}
		t.Steps = append(t.Steps, step)
	}
	for _, l := range r.Lost {
		t.Lost = append(t.Lost, build.Lost{Attempt: l.Attempt, Builder: l.Builder, Reason: l.Reason, Ended: l.Ended.time()})
	}
	return t, nil
}

func (r *stepRecord) step() (build.Step, error) {
	s := build.Step{
		Type: r.Type, Name: r.Name, State: r.State, Reason: r.Reason, Exit: r.Exit, Image: r.Image,
		Images: loadedImages(r.Images), Started: r.Started.time(), Finished: r.Finished.time(), From: r.From, To: r.To,
	}
	if !slices.Contains(build.States, r.State) || r.State == build.Ready || r.State == build.Scheduled {
		return s, fmt.Errorf("a step cannot be %q", r.State)
	}
	return s, nil
}

package storage

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// eventsFile holds a build's moves, a line each; replaying them gives buildFile.
const eventsFile = "events.jsonl"

type moveRecord struct {
	Version int            `json:"version,omitempty"` // of the whole file; with its first move
	Seq     int            `json:"seq"`
	At      instant        `json:"at"`
	Kind    build.Kind     `json:"kind"`
	Task    string         `json:"task,omitempty"`
	Attempt int            `json:"attempt,omitempty"`
	Builder string         `json:"builder,omitempty"`
	From    build.State    `json:"from,omitempty"`
	To      build.State    `json:"to,omitempty"`
	Reason  string         `json:"reason,omitempty"`
	Index   int            `json:"index,omitempty"`
	Step    *stepRecord    `json:"step,omitempty"`
	Log     *logRecord     `json:"log,omitempty"`
	Ready   instant        `json:"ready,omitzero"`
	Request *requestRecord `json:"request,omitempty"`

	Approval *approvalRecord `json:"approval,omitempty"`

	Tests     testsRecord      `json:"tests,omitzero"`
	Findings  []findingRecord  `json:"findings,omitempty"`
	Artifacts []artifactRecord `json:"artifacts,omitempty"`
}

type requestRecord struct {
	ID         build.ID       `json:"id"`
	Repository string         `json:"repository,omitempty"`
	Kind       plan.Kind      `json:"kind,omitempty"`
	Name       string         `json:"name"`
	Plan       string         `json:"plan,omitempty"`
	Config     plan.Commit    `json:"config,omitempty"`
	Author     string         `json:"author,omitempty"`
	Subject    string         `json:"subject,omitempty"`
	Group      string         `json:"group,omitempty"`
	Held       bool           `json:"held,omitempty"`
	Trigger    plan.Trigger   `json:"trigger"`
	Stages     []stageOutline `json:"stages,omitempty"`
}

type stageOutline struct {
	Name  string        `json:"name"`
	Tasks []taskOutline `json:"tasks,omitempty"`
}

type taskOutline struct {
	Key  string `json:"key"`
	Name string `json:"name"`
	rulesRecord
	Steps []stepOutline `json:"steps,omitempty"`

	Reused    originRecord     `json:"reused,omitzero"`
	Tests     testsRecord      `json:"tests,omitzero"`
	Artifacts []artifactRecord `json:"artifacts,omitempty"`
}

type stepOutline struct {
	Type plan.StepType `json:"type"`
	Name string        `json:"name,omitempty"`
}

// encodeMoves prints moves as lines, to be put behind those of the moves before.
func encodeMoves(moves []build.Move) ([]byte, error) {
	var lines []byte
	for i := range moves {
		line, err := encode(eventsFile, storedMove(&moves[i]))
		if err != nil {
			return nil, err
		}
		lines = append(lines, line...)
	}
	return lines, nil
}

func storedMove(m *build.Move) moveRecord {
	r := moveRecord{
		Seq: m.Seq, At: stored(m.At), Kind: m.Kind, Task: m.Task, Attempt: m.Attempt, Builder: m.Builder,
		From: m.From, To: m.To, Reason: m.Reason, Index: m.Index,
		Ready: stored(m.Ready), Tests: testsRecord(m.Tests), Findings: storedFindings(m.Findings), Artifacts: storedArtifacts(m.Artifacts),
	}
	if m.Seq == 1 {
		r.Version = recordVersion
	}
	if m.Step != nil {
		s := storedStep(*m.Step)
		r.Step = &s
	}
	if m.Log != nil {
		l := logRecord(*m.Log)
		r.Log = &l
	}
	if m.Request != nil {
		r.Request = storedRequest(m.Request)
	}
	r.Approval = storedApproval(m.Approval)
	return r
}

func storedRequest(q *build.Request) *requestRecord {
	r := &requestRecord{
		ID: q.ID, Repository: q.Repository, Kind: q.Kind, Name: q.Name, Plan: q.Plan, Config: q.Config,
		Author: q.Author, Subject: q.Subject, Group: q.Group, Held: q.Held, Trigger: storedTrigger(q.Trigger),
	}
	for _, s := range q.Stages {
		stage := stageOutline{Name: s.Name}
		for _, t := range s.Tasks {
			task := taskOutline{
				Key: t.Key, Name: t.Name, rulesRecord: rulesRecord(t.Rules),
				Reused: originRecord(t.Reused), Tests: testsRecord(t.Tests), Artifacts: storedArtifacts(t.Artifacts),
			}
			for _, step := range t.Steps {
				task.Steps = append(task.Steps, stepOutline(step))
			}
			stage.Tasks = append(stage.Tasks, task)
		}
		r.Stages = append(r.Stages, stage)
	}
	return r
}

// decodeMoves reads the lines that encodeMoves printed, from the first move on.
func decodeMoves(data []byte) ([]build.Move, error) { return decodeMovesFrom(eventsFile, data, 1) }

// decodeMovesFrom reads the lines of a file that begins with move first.
func decodeMovesFrom(file string, data []byte, first int) ([]build.Move, error) {
	if len(data) == 0 || data[len(data)-1] != '\n' {
		return nil, fmt.Errorf("decode %s: it ends within a line", file)
	}
	var moves []build.Move
	for line := range bytes.Lines(data) {
		m, err := decodeMove(line, first+len(moves))
		if err != nil {
			return nil, fmt.Errorf("decode %s: line %d: %w", file, len(moves)+1, err)
		}
		moves = append(moves, m)
	}
	return moves, nil
}

func decodeMove(line []byte, seq int) (build.Move, error) {
	var r moveRecord
	if seq == 1 {
		if err := decode("the first move", line, &r); err != nil {
			return build.Move{}, err
		}
	} else if err := json.Unmarshal(line, &r); err != nil {
		return build.Move{}, err
	}
	m, err := r.move()
	if err == nil && m.Seq != seq {
		err = fmt.Errorf("it holds move %d, where %d belongs", m.Seq, seq)
	}
	return m, err
}

func (r *moveRecord) move() (build.Move, error) {
	m := build.Move{
		Seq: r.Seq, At: r.At.time(), Kind: r.Kind, Task: r.Task, Attempt: r.Attempt, Builder: r.Builder,
		From: r.From, To: r.To, Reason: r.Reason, Index: r.Index,
		Ready: r.Ready.time(), Tests: build.Tests(r.Tests), Findings: loadedFindings(r.Findings),
	}
	var err error
	if m.Artifacts, err = loadedArtifacts(r.Artifacts); err != nil {
		return m, err
	}
	if r.Step != nil {
		s, err := r.Step.step()
		if err != nil {
			return m, err
		}
		m.Step = &s
	}
	if r.Log != nil {
		l := build.Log(*r.Log)
		m.Log = &l
	}
	if m.Approval, err = r.Approval.approval(); err != nil {
		return m, err
	}
	if r.Request != nil {
		q, err := r.Request.request()
		if err != nil {
			return m, err
		}
		m.Request = q
	}
	return m, nil
}

func (r *requestRecord) request() (*build.Request, error) {
	trigger, err := loadedTrigger(r.Trigger)
	if err := cmp.Or(err, checkCommits(r.Config)); err != nil {
		return nil, err
	}
	q := &build.Request{
		ID: r.ID, Repository: r.Repository, Kind: r.Kind, Name: r.Name, Plan: r.Plan, Config: r.Config,
		Author: r.Author, Subject: r.Subject, Group: r.Group, Held: r.Held, Trigger: trigger,
	}
	for i, s := range r.Stages {
		stage := build.StagePlan{Name: s.Name}
		for j, t := range s.Tasks {
			if t.Key != plan.Key(i, j) {
				return nil, fmt.Errorf("task %q stands where %s belongs", t.Key, plan.Key(i, j))
			}
			task := build.TaskPlan{
				Key: t.Key, Name: t.Name, Rules: build.Rules(t.rulesRecord), Reused: build.Origin(t.Reused), Tests: build.Tests(t.Tests),
			}
			if task.Artifacts, err = loadedArtifacts(t.Artifacts); err != nil {
				return nil, fmt.Errorf("task %s: %w", t.Key, err)
			}
			for _, step := range t.Steps {
				task.Steps = append(task.Steps, build.StepPlan(step))
			}
			stage.Tasks = append(stage.Tasks, task)
		}
		q.Stages = append(q.Stages, stage)
	}
	return q, nil
}

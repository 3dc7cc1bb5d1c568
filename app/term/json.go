package term

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// BuildsJSON prints builds as a JSON array, without their stages.
func BuildsJSON(w io.Writer, builds []*build.Build) error {
	list := make([]buildJSON, len(builds))
	for i, b := range builds {
		list[i] = summaryJSON(b)
	}
	return writeJSON(w, list)
}

// BuildJSON prints one build whole, as a JSON object.
func BuildJSON(w io.Writer, b *build.Build) error {
	whole := summaryJSON(b)
	for i := range b.Stages {
		whole.Stages = append(whole.Stages, toStageJSON(b, &b.Stages[i]))
	}
	return writeJSON(w, whole)
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("print json: %w", err)
	}
	return nil
}

// What --json prints. Times are RFC 3339 in UTC; states and reasons are the words
// of the stored form, derived ones included, so that a reader need not know the
// rules.
type (
	buildJSON struct {
		ID       string            `json:"id,omitempty"` // like the number missing in what is not recorded
		Number   int64             `json:"number,omitempty"`
		State    build.State       `json:"state"`
		Reason   string            `json:"reason,omitempty"`
		Kind     plan.Kind         `json:"kind,omitempty"`
		Name     string            `json:"name"`
		Event    plan.Event        `json:"event"`
		Ref      string            `json:"ref,omitempty"`
		Commit   plan.Commit       `json:"commit"`
		Config   plan.Commit       `json:"configCommit,omitempty"`
		Author   string            `json:"author,omitempty"`
		Subject  string            `json:"subject,omitempty"`
		Actor    string            `json:"actor,omitempty"`
		Parent   string            `json:"parent,omitempty"`
		Params   map[string]string `json:"parameters,omitempty"`
		Plan     string            `json:"plan,omitempty"`
		Done     int               `json:"done"`
		Tasks    int               `json:"tasks"`
		Created  time.Time         `json:"created"`
		Started  time.Time         `json:"started,omitzero"`
		Finished time.Time         `json:"finished,omitzero"`
		Notices  []string          `json:"notices,omitempty"`
		Stages   []stageJSON       `json:"stages,omitempty"`
	}
	stageJSON struct {
		Name  string      `json:"name"`
		State build.State `json:"state"`
		Tasks []taskJSON  `json:"tasks"`
	}
	taskJSON struct {
		Key      string      `json:"key"`
		Name     string      `json:"name"`
		State    build.State `json:"state"`
		Reason   string      `json:"reason,omitempty"`
		MayFail  bool        `json:"ignoreErrors,omitempty"`
		Attempt  int         `json:"attempt"`
		Builder  string      `json:"builder,omitempty"`
		Started  time.Time   `json:"started,omitzero"`
		Finished time.Time   `json:"finished,omitzero"`
		LogBytes int64       `json:"logBytes,omitempty"`
		LogLines int         `json:"logLines,omitempty"`
		Steps    []stepJSON  `json:"steps"`
		Lost     []lostJSON  `json:"lost,omitempty"`
	}
	stepJSON struct {
		Type     plan.StepType `json:"type"`
		Name     string        `json:"name"`
		State    build.State   `json:"state"`
		Reason   string        `json:"reason,omitempty"`
		Exit     int           `json:"exit,omitempty"`
		Image    string        `json:"image,omitempty"`
		Started  time.Time     `json:"started,omitzero"`
		Finished time.Time     `json:"finished,omitzero"`
	}
	lostJSON struct {
		Attempt int       `json:"attempt"`
		Builder string    `json:"builder,omitempty"`
		Reason  string    `json:"reason"`
		Ended   time.Time `json:"ended"`
	}
)

func summaryJSON(b *build.Build) buildJSON {
	t, counts := b.Trigger, b.Counts()
	id := ""
	if !b.ID.Zero() {
		id = b.ID.String()
	}
	return buildJSON{
		ID: id, Number: b.ID.Number, State: b.State(), Reason: b.Reason(),
		Kind: b.Kind, Name: b.Name, Event: t.Event, Ref: t.Ref, Commit: t.Commit, Config: b.Config,
		Author: b.Author, Subject: b.Subject, Actor: t.Actor, Parent: t.Parent, Params: t.Parameters, Plan: b.Plan,
		Done: counts.Done, Tasks: counts.Tasks,
		Created: b.Created.UTC(), Started: b.Started.UTC(), Finished: b.Finished.UTC(),
		Notices: b.Notices,
	}
}

func toStageJSON(b *build.Build, s *build.Stage) stageJSON {
	out := stageJSON{Name: s.Name, State: s.State(), Tasks: []taskJSON{}}
	for i := range s.Tasks {
		out.Tasks = append(out.Tasks, toTaskJSON(b, &s.Tasks[i]))
	}
	return out
}

func toTaskJSON(b *build.Build, t *build.Task) taskJSON {
	out := taskJSON{
		Key: t.Key, Name: t.Name, State: t.State, Reason: b.TaskReason(t), MayFail: t.MayFail,
		Attempt: t.Attempt, Builder: t.Builder, Started: t.Started.UTC(), Finished: t.Finished.UTC(),
		LogBytes: t.Log.Bytes, LogLines: t.Log.Lines, Steps: []stepJSON{},
	}
	for _, s := range t.Steps {
		out.Steps = append(out.Steps, stepJSON{
			Type: s.Type, Name: s.Name, State: s.State, Reason: s.Reason, Exit: s.Exit, Image: s.Image,
			Started: s.Started.UTC(), Finished: s.Finished.UTC(),
		})
	}
	for _, l := range t.Lost {
		out.Lost = append(out.Lost, lostJSON{Attempt: l.Attempt, Builder: l.Builder, Reason: l.Reason, Ended: l.Ended.UTC()})
	}
	return out
}

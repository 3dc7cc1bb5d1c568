package plugin

import (
	"fmt"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// dataVersion is the version of Data: within it, fields are only added.
const dataVersion = 1

// An Event is what plugins are told, in the form in which it is sent: a CloudEvent
// of version 1.0 in JSON. docs/plugins.md explains it.
type Event struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`     // the same whenever the event is sent
	Source          string    `json:"source"` // the store of the build
	Type            string    `json:"type"`
	Subject         string    `json:"subject"` // the build's id, perhaps with / and a task's key
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	Data            Data      `json:"data"`
}

// Data is what happened, as it was when it happened. It has no environment, no
// parameters and no logs.
type Data struct {
	Version int             `json:"version"`
	Event   build.EventType `json:"event"`
	Build   Build           `json:"build"`
	Task    *Task           `json:"task,omitempty"` // with events of a task
}

// Build is a build as plugins see it.
type Build struct {
	ID         string      `json:"id"`
	Repository string      `json:"repository"`
	Kind       plan.Kind   `json:"kind"`
	Name       string      `json:"name"`
	State      build.State `json:"state"`
	Reason     string      `json:"reason,omitempty"`
	Event      plan.Event  `json:"event"`
	Ref        string      `json:"ref,omitempty"`
	Target     string      `json:"target,omitempty"`
	Commit     plan.Commit `json:"commit"`
	Author     string      `json:"author,omitempty"`
	Subject    string      `json:"subject,omitempty"`
	Tasks      int         `json:"tasks"`
	Succeeded  int         `json:"succeeded"`
	Skipped    int         `json:"skipped"`
	Created    time.Time   `json:"created"`
	Started    time.Time   `json:"started,omitzero"`
	Finished   time.Time   `json:"finished,omitzero"`
	URL        string      `json:"url,omitempty"`
}

// Task is a task as plugins see it.
type Task struct {
	Key      string      `json:"key"`
	Name     string      `json:"name"`
	State    build.State `json:"state"`
	Reason   string      `json:"reason,omitempty"`
	Attempt  int         `json:"attempt,omitempty"`
	Started  time.Time   `json:"started,omitzero"`
	Finished time.Time   `json:"finished,omitzero"`
	URL      string      `json:"url,omitempty"`
}

// typePrefix makes the names of events unique in the world.
const typePrefix = "com.github.velocity-ci.velocity."

// describe is an event of the build b as it was right after the move that emitted
// it. page is the address of a build or task; nil if there is none.
func describe(b *build.Build, e build.Event, at time.Time, page func(build.ID, string) string) *Event {
	counts := b.Counts()
	out := &Event{
		SpecVersion: "1.0", ID: fmt.Sprintf("%s/%d/%s", b.ID, e.Seq, e.Type), Source: "urn:velocity:" + b.ID.Store,
		Type: typePrefix + string(e.Type), Subject: b.ID.String(), Time: at.UTC(), DataContentType: "application/json",
		Data: Data{Version: dataVersion, Event: e.Type, Build: Build{
			ID: b.ID.String(), Repository: b.Repository, Kind: b.Kind, Name: b.Name, State: b.State(), Reason: b.Reason(),
			Event: b.Trigger.Event, Ref: b.Trigger.Ref, Target: b.Trigger.Target, Commit: b.Trigger.Commit,
			Author: b.Author, Subject: b.Subject, Tasks: counts.Tasks, Succeeded: counts.Done, Skipped: counts.Skipped,
			Created: b.Created.UTC(), Started: b.Started.UTC(), Finished: b.Finished.UTC(),
		}},
	}
	if page != nil {
		out.Data.Build.URL = page(b.ID, "")
	}
	t, ok := b.Task(e.Task)
	if !ok {
		return out
	}
	out.Subject += "/" + t.Key
	out.Data.Task = &Task{
		Key: t.Key, Name: t.Name, State: t.State, Reason: b.TaskReason(t), Attempt: t.Attempt,
		Started: t.Started.UTC(), Finished: t.Finished.UTC(),
	}
	if page != nil {
		out.Data.Task.URL = page(b.ID, t.Key)
	}
	return out
}

// masked is the event without what mask takes out of texts that others wrote.
func (e *Event) masked(mask func(string) string) *Event {
	out := *e
	b := &out.Data.Build
	for _, text := range []*string{&b.Repository, &b.Name, &b.Reason, &b.Ref, &b.Target, &b.Author, &b.Subject} {
		*text = mask(*text)
	}
	if e.Data.Task != nil {
		t := *e.Data.Task
		t.Name, t.Reason = mask(t.Name), mask(t.Reason)
		out.Data.Task = &t
	}
	return &out
}

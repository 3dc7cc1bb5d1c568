package hooks

import "cmp"

// A labPayload is what GitLab's payloads have in common. Where the project and the
// person stand depends on the event; push events have both at the top.
type labPayload struct {
	Kind      string     `json:"object_kind"`
	Name      string     `json:"event_name"` // of system hooks
	ProjectID int64      `json:"project_id"`
	Path      string     `json:"path_with_namespace"` // in events about a project itself
	Project   labProject `json:"project"`
	User      labUser    `json:"user"`
	UserID    int64      `json:"user_id"`
	Username  string     `json:"user_username"`
}

type labProject struct {
	ID   int64  `json:"id"`
	Path string `json:"path_with_namespace"`
}

type labUser struct {
	ID       int64  `json:"id"`
	Username string `json:"username"`
}

// A labDecoder reads one of GitLab's events; see hubDecoder.
type labDecoder func(e *Event, body []byte) error

// labDecoders has the events by their object_kind or event_name.
var labDecoders = map[string]labDecoder{
	"push":              labPush,
	"tag_push":          labPush,
	"repository_update": labKind(RefsChanged),
	"merge_request":     labMerge,
	"note":              labNote,
	"project_create":    labKind(RepositoryChanged),
	"project_rename":    labKind(RepositoryChanged),
	"project_transfer":  labKind(RepositoryChanged),
	"project_update":    labKind(RepositoryChanged),
	"project_destroy":   labKind(RepositoryDeleted),
}

// labKind is for events that say no more than that they happened.
func labKind(kind Kind) labDecoder {
	return func(e *Event, _ []byte) error {
		if e.Repository == 0 {
			return errNoRepository
		}
		e.Kind = kind
		return nil
	}
}

// decodeGitLab goes by the body and not by the header: that of system hooks and of
// integrations is the same for all events, and it is never signed.
func decodeGitLab(event string, body []byte) (Event, error) {
	var p labPayload
	if err := unmarshal(body, &p); err != nil {
		return Event{}, err
	}
	name := cmp.Or(p.Kind, p.Name)
	e := Event{
		Repository: number(cmp.Or(p.Project.ID, p.ProjectID)),
		Name:       word(cmp.Or(p.Project.Path, p.Path)),
		Sender:     Person{ID: number(p.User.ID), Login: word(p.User.Username)},
	}
	if e.Sender == (Person{}) {
		e.Sender = Person{ID: number(p.UserID), Login: word(p.Username)}
	}
	if name == "group_rename" || name == "user_rename" {
		e.Kind = NamesChanged
		return e, nil
	}
	decode := labDecoders[name]
	if decode == nil {
		return ignored("GitLab's event %q (%s) is not used", word(name), event), nil
	}
	if err := decode(&e, body); err != nil {
		return Event{}, err
	}
	return e, nil
}

func labPush(e *Event, body []byte) error {
	var p struct {
		Ref      string `json:"ref"`
		Before   string `json:"before"`
		After    string `json:"after"`
		Checkout string `json:"checkout_sha"`
		Options  struct {
			CI struct {
				Skip bool `json:"skip"`
			} `json:"ci"`
		} `json:"push_options"`
	}
	if err := unmarshal(body, &p); err != nil {
		return err
	}
	if e.Repository == 0 {
		return errNoRepository
	}
	if err := e.pushed(p.Ref, p.Before, p.After); err != nil {
		return err
	}
	e.Skip = p.Options.CI.Skip
	if e.Kind == TagPushed {
		e.Commit = commit(p.Checkout)
	}
	return nil
}

// labSide is what a merge request says of itself, in its own events and in those of
// comments on it.
type labSide struct {
	Number        int64     `json:"iid"`
	State         string    `json:"state"`
	SourceProject int64     `json:"source_project_id"`
	TargetProject int64     `json:"target_project_id"`
	TargetBranch  string    `json:"target_branch"`
	Source        *struct{} `json:"source"`
	Draft         bool      `json:"draft"`
	Progress      bool      `json:"work_in_progress"` // what draft was called
	Last          struct {
		ID string `json:"id"`
	} `json:"last_commit"`
}

// merge fills in what a merge request says of itself. Its commit is left to the
// caller: a comment was written about one that nobody named.
func (e *Event) merge(m labSide) error {
	if e.Repository == 0 { // the system hook's project has no number
		e.Repository = number(m.TargetProject)
	}
	e.Pull = number(m.Number)
	switch {
	case e.Repository == 0:
		return errNoRepository
	case e.Pull == 0:
		return errNoNumber
	}
	e.Target = branch(m.TargetBranch)
	e.Fork = m.Source == nil || m.SourceProject <= 0 || m.SourceProject != m.TargetProject
	e.Draft = m.Draft || m.Progress
	return nil
}

func labNote(e *Event, body []byte) error {
	var p struct {
		Note struct {
			Text   string `json:"note"`
			On     string `json:"noteable_type"` //nolint:misspell // as GitLab spells it
			Action string `json:"action"`
			Author int64  `json:"author_id"`
			System bool   `json:"system"`
		} `json:"object_attributes"`
		Merge labSide `json:"merge_request"`
	}
	if err := unmarshal(body, &p); err != nil {
		return err
	}
	if e.Sender.ID == 0 { // older payloads name the person only
		e.Sender.ID = number(p.Note.Author)
	}
	switch {
	case p.Note.On != "MergeRequest":
		e.Kind, e.Note = Ignored, "a comment on no merge request"
		return nil
	case p.Note.System:
		e.Kind, e.Note = Ignored, "GitLab's own comment"
		return nil
	case p.Note.Action != "" && p.Note.Action != "create": // older payloads have none
		e.otherAction(p.Note.Action)
		return nil
	case p.Merge.State != "" && p.Merge.State != "opened":
		e.Kind, e.Note = Ignored, "a comment on a merge request that is closed"
		return nil
	}
	if err := e.merge(p.Merge); err != nil {
		return err
	}
	e.commanded(p.Note.Text)
	return nil
}

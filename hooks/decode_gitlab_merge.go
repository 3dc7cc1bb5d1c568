package hooks

import "slices"

// A labChange is how one property of a merge request changed.
type labChange[T any] struct {
	Previous T `json:"previous"`
	Current  T `json:"current"`
}

type labLabel struct {
	ID    int64  `json:"id"`
	Title string `json:"title"`
}

// labChanges are the changes of a merge request that matter.
type labChanges struct {
	Target   *labChange[string]    `json:"target_branch"`
	Draft    labChange[bool]       `json:"draft"`
	Progress labChange[bool]       `json:"work_in_progress"`
	Labels   labChange[[]labLabel] `json:"labels"`
}

func (c *labChanges) ready() bool {
	return c.Draft.Previous && !c.Draft.Current || c.Progress.Previous && !c.Progress.Current
}

// added has the labels that were not there before.
func (c *labChanges) added() []string {
	var names []string
	for _, l := range c.Labels.Current {
		if !slices.Contains(c.Labels.Previous, l) {
			names = append(names, l.Title)
		}
	}
	return labels(names...)
}

func labMerge(e *Event, body []byte) error {
	var p struct {
		Merge struct {
			labSide
			Action string `json:"action"`
			OldRev string `json:"oldrev"` // only if there is new code
		} `json:"object_attributes"`
		Changes labChanges `json:"changes"`
	}
	if err := unmarshal(body, &p); err != nil {
		return err
	}
	if err := e.merge(p.Merge.labSide); err != nil {
		return err
	}
	e.Commit, e.Before = commit(p.Merge.Last.ID), commit(p.Merge.OldRev)
	switch p.Merge.Action {
	case "open", "reopen":
		e.Kind = PullOpened
	case "update":
		e.updated(&p.Changes)
	case "merge", "close":
		e.Kind = PullClosed
	case "": // the system hook's, which does not say what happened
		e.Kind = PullOther
	default:
		e.otherAction(p.Merge.Action)
	}
	return nil
}

// updated tells updates apart. Of several things at once the first is chosen, as what
// is done for it looks at all of the merge request anyway.
func (e *Event) updated(c *labChanges) {
	e.Labels = c.added()
	switch {
	case e.Before != "":
		e.Kind = PullPushed
	case c.Target != nil:
		e.Kind = PullRetargeted
	case c.ready():
		e.Kind = PullOpened
	case len(e.Labels) > 0:
		e.Kind = PullLabeled
	default:
		e.Kind, e.Note = Ignored, "nothing changed that is built"
	}
}

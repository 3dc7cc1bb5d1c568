package hooks

import (
	"cmp"
	"strings"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A hubPayload is what all of GitHub's payloads have in common.
type hubPayload struct {
	Action       string  `json:"action"`
	Repository   hubRepo `json:"repository"`
	Installation hubID   `json:"installation"`
	Sender       hubUser `json:"sender"`
}

type hubID struct {
	ID int64 `json:"id"`
}

type hubRepo struct {
	ID   int64  `json:"id"`
	Name string `json:"full_name"`
}

type hubUser struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
	Type  string `json:"type"`
}

// A hubDecoder reads one of GitHub's events. The event that it gets has what is the
// same for all, and it fills in the rest.
type hubDecoder func(e *Event, action string, body []byte) error

// hubDecoders has the events that are used; those about a repository apart from
// those about an installation.
var (
	hubRepository = map[string]hubDecoder{
		"push":          hubPush,
		"pull_request":  hubPull,
		"check_suite":   hubSuite,
		"check_run":     hubRun,
		"merge_group":   hubGroup,
		"issue_comment": hubComment,
		"repository":    hubRepositoryEvent,
	}
	hubInstallation = map[string]hubDecoder{
		"installation":              hubInstalled,
		"installation_repositories": hubInstalledRepositories,
	}
)

func decodeGitHub(event string, body []byte) (Event, error) {
	if event == "ping" { // that of an organization has no repository
		return Event{Kind: Ping, Note: "the hook works"}, nil
	}
	decode, about := hubRepository[event], true
	if decode == nil {
		decode, about = hubInstallation[event], false
	}
	if decode == nil {
		return ignored("GitHub's event %q is not used", event), nil
	}
	var p hubPayload
	if err := unmarshal(body, &p); err != nil {
		return Event{}, err
	}
	e := Event{
		Repository:   number(p.Repository.ID),
		Name:         word(p.Repository.Name),
		Installation: number(p.Installation.ID),
		Sender:       Person{ID: number(p.Sender.ID), Login: word(p.Sender.Login), Bot: p.Sender.Type == "Bot"},
	}
	switch {
	case about && e.Repository == 0:
		return Event{}, errNoRepository
	case !about && e.Installation == 0:
		return Event{}, errNoInstallation
	}
	if err := decode(&e, p.Action, body); err != nil {
		return Event{}, err
	}
	return e, nil
}

// otherAction is for actions that are not used, known ones and those to come.
func (e *Event) otherAction(action string) {
	e.Kind, e.Note = Ignored, "the action "+word(action)+" is not used"
}

// queued is where GitHub keeps the branches of merge groups.
const queued = plan.BranchPrefix + "gh-readonly-queue/"

func hubPush(e *Event, _ string, body []byte) error {
	var p struct {
		Ref     string `json:"ref"`
		Before  string `json:"before"`
		After   string `json:"after"`
		Deleted bool   `json:"deleted"`
		Forced  bool   `json:"forced"`
		Head    struct {
			ID string `json:"id"`
		} `json:"head_commit"`
	}
	if err := unmarshal(body, &p); err != nil {
		return err
	}
	if err := e.pushed(p.Ref, p.Before, p.After); err != nil {
		return err
	}
	e.Forced = p.Forced
	switch {
	case e.Kind == Ignored:
	case strings.HasPrefix(e.Ref, queued):
		e.Kind, e.Note = Ignored, "a merge group's branch: the merge group's own event says it"
	case p.Deleted:
		e.Kind, e.Commit = RefDeleted, ""
	case e.Kind == TagPushed:
		e.Commit = commit(p.Head.ID)
	}
	return nil
}

// hubPulls has the kinds of actions of pull requests. That of edited depends.
var hubPulls = map[string]Kind{
	"opened":           PullOpened,
	"reopened":         PullOpened,
	"ready_for_review": PullOpened,
	"synchronize":      PullPushed,
	"edited":           PullRetargeted,
	"labeled":          PullLabeled,
	"closed":           PullClosed,
}

func hubPull(e *Event, action string, body []byte) error {
	type side struct {
		Ref  string   `json:"ref"`
		SHA  string   `json:"sha"`
		Repo *hubRepo `json:"repo"`
	}
	var p struct {
		Number int64  `json:"number"`
		Before string `json:"before"`
		Pull   struct {
			Number int64 `json:"number"`
			Draft  bool  `json:"draft"`
			Head   side  `json:"head"`
			Base   side  `json:"base"`
		} `json:"pull_request"`
		Changes struct {
			Base *struct{} `json:"base"`
		} `json:"changes"`
		Label struct {
			Name string `json:"name"`
		} `json:"label"`
	}
	if err := unmarshal(body, &p); err != nil {
		return err
	}
	e.Pull = number(cmp.Or(p.Pull.Number, p.Number))
	if e.Pull == 0 {
		return errNoNumber
	}
	e.Commit, e.Before = commit(p.Pull.Head.SHA), commit(p.Before)
	e.Target = branch(p.Pull.Base.Ref)
	e.Fork = p.Pull.Head.Repo == nil || p.Pull.Head.Repo.ID != e.Repository
	e.Draft = p.Pull.Draft
	kind, known := hubPulls[action]
	switch {
	case !known || kind == PullRetargeted && p.Changes.Base == nil:
		e.otherAction(action)
		return nil
	case kind == PullLabeled:
		e.Labels = labels(p.Label.Name)
	}
	e.Kind = kind
	return nil
}

// labels has the labels that can be told apart.
func labels(names ...string) []string {
	var good []string
	for _, name := range names {
		if name = word(name); name != "" {
			good = append(good, name)
		}
	}
	return good
}

func hubGroup(e *Event, action string, body []byte) error {
	var p struct {
		Reason string `json:"reason"`
		Group  struct {
			HeadSHA string `json:"head_sha"`
			HeadRef string `json:"head_ref"`
			BaseSHA string `json:"base_sha"`
			BaseRef string `json:"base_ref"`
		} `json:"merge_group"`
	}
	if err := unmarshal(body, &p); err != nil {
		return err
	}
	e.Ref, e.Commit, e.Before = ref(p.Group.HeadRef), commit(p.Group.HeadSHA), commit(p.Group.BaseSHA)
	e.Target = branch(strings.TrimPrefix(p.Group.BaseRef, plan.BranchPrefix)) // both forms were seen
	switch {
	case action == "destroyed" && p.Reason == "merged":
		e.Kind, e.Note = Ignored, "the merge group was merged"
	case action != "checks_requested" && action != "destroyed":
		e.otherAction(action)
	case e.Commit == "":
		return errNoCommit
	case action == "destroyed":
		e.Kind, e.Superseded = GroupGone, p.Reason == "invalidated"
	case e.Ref == "":
		return errNoRef
	default:
		e.Kind = GroupRequested
	}
	return nil
}

func hubComment(e *Event, action string, body []byte) error {
	var p struct {
		Issue struct {
			Number int64     `json:"number"`
			State  string    `json:"state"`
			Pull   *struct{} `json:"pull_request"`
		} `json:"issue"`
		Comment struct {
			Body string `json:"body"`
		} `json:"comment"`
	}
	if err := unmarshal(body, &p); err != nil {
		return err
	}
	e.Pull = number(p.Issue.Number)
	switch {
	case action != "created": // an edit would let a comment change what it asked for
		e.otherAction(action)
	case p.Issue.Pull == nil:
		e.Kind, e.Note = Ignored, "a comment on an issue"
	case p.Issue.State == "closed":
		e.Kind, e.Note = Ignored, "a comment on a pull request that is closed"
	case e.Pull == 0:
		return errNoNumber
	default:
		e.commanded(p.Comment.Body)
	}
	return nil
}

package hooks

import "errors"

var errNoInstallation = errors.New("it does not say which installation of the GitHub App it is about")

// A hubApp is the App whose check it is. GitHub leaves it out of some, and shows us
// those of others.
type hubApp struct {
	App hubID `json:"app"`
}

func hubRun(e *Event, action string, body []byte) error {
	var p struct {
		Run struct {
			hubApp
			SHA      string `json:"head_sha"`
			Name     string `json:"name"`
			External string `json:"external_id"`
		} `json:"check_run"`
		Asked struct {
			Identifier string `json:"identifier"`
		} `json:"requested_action"`
	}
	if err := unmarshal(body, &p); err != nil {
		return err
	}
	e.App, e.Commit = number(p.Run.App.ID), commit(p.Run.SHA)
	e.Check, e.External = word(p.Run.Name), word(p.Run.External)
	switch action {
	case "rerequested":
		e.Kind = CheckRerun
	case "requested_action":
		e.Kind, e.Action = ActionAsked, word(p.Asked.Identifier)
	default: // created and completed are what we, or others, said ourselves
		e.otherAction(action)
		return nil
	}
	if e.Commit == "" {
		return errNoCommit
	}
	return nil
}

func hubSuite(e *Event, action string, body []byte) error {
	var p struct {
		Suite struct {
			hubApp
			SHA string `json:"head_sha"`
		} `json:"check_suite"`
	}
	if err := unmarshal(body, &p); err != nil {
		return err
	}
	e.App, e.Commit = number(p.Suite.App.ID), commit(p.Suite.SHA)
	switch action {
	case "requested":
		e.Kind = SuiteAsked
	case "rerequested":
		e.Kind = SuiteRerun
	default:
		e.otherAction(action)
		return nil
	}
	if e.Commit == "" {
		return errNoCommit
	}
	return nil
}

// hubInstalled leaves Repositories nil even if the payload lists some: it lists no
// more than the first ones, and who acts on it asks anyway.
func hubInstalled(e *Event, action string, _ []byte) error {
	switch action {
	case "created", "unsuspend", "new_permissions_accepted":
		e.Kind = AccessGained
	case "deleted", "suspend":
		e.Kind = AccessLost
	default:
		e.otherAction(action)
	}
	return nil
}

func hubInstalledRepositories(e *Event, action string, body []byte) error {
	var p struct {
		Added   []hubID `json:"repositories_added"`
		Removed []hubID `json:"repositories_removed"`
	}
	if err := unmarshal(body, &p); err != nil {
		return err
	}
	list := p.Added
	switch action {
	case "added":
		e.Kind = AccessGained
	case "removed":
		e.Kind, list = AccessLost, p.Removed
	default:
		e.otherAction(action)
		return nil
	}
	for _, r := range list {
		if r.ID > 0 {
			e.Repositories = append(e.Repositories, r.ID)
		}
	}
	if e.Kind == AccessLost && e.Repositories == nil { // which would read as all of them
		return errNoRepository
	}
	return nil
}

func hubRepositoryEvent(e *Event, action string, _ []byte) error {
	switch action {
	case "created", "renamed", "transferred", "archived", "unarchived", "privatized", "publicized", "edited":
		e.Kind = RepositoryChanged
	case "deleted":
		e.Kind = RepositoryDeleted
	default:
		e.otherAction(action)
	}
	return nil
}

package github

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/google/go-github/v62/github"
	"github.com/velocity-ci/velocity/app/forge"
)

const maxDescription = 140 // of a commit status

// integration reports whether the answer is the one that GitHub gives to an App
// that was not granted a permission.
func (f *failure) integration() bool {
	return f.status == http.StatusForbidden && !f.token && strings.Contains(f.message, "not accessible by integration")
}

// full reports whether the answer means that a commit has as many statuses of one
// context as GitHub keeps.
func (f *failure) full() bool {
	return f.status == http.StatusUnprocessableEntity && strings.Contains(strings.ToLower(f.message), "maximum number of statuses")
}

// states of a commit status, by conclusion. A status knows fewer.
var states = map[forge.Conclusion]string{
	forge.Success: "success", forge.Neutral: "success", forge.Skipped: "success",
	forge.Failure: "failure", forge.TimedOut: "failure",
	forge.Cancelled: "error", forge.ActionRequired: "pending",
}

// describe is a check as a commit status.
func describe(c forge.Check) *github.RepoStatus {
	s := &github.RepoStatus{Context: github.String(c.Name), State: github.String("pending")}
	if c.State == forge.Final {
		s.State = github.String("error")
		if state := states[c.Conclusion]; state != "" && !c.Error {
			s.State = &state
		}
	}
	if title := line(c.Title, maxDescription); title != "" {
		s.Description = &title
	}
	if page := address(c.Page); page != "" {
		s.TargetURL = &page
	}
	return s
}

// status shows the check as a commit status. One that this process sent last is not
// sent again: a commit takes a thousand of one context, and then none for ever.
func (p *posting) status(ctx context.Context) (forge.Told, error) {
	s := describe(p.check)
	key, sent := p.where+string(p.check.Commit)+" "+p.check.Name, digest(s)
	if p.app.statuses.get(key) != sent {
		_, err := p.door.ask(ctx, http.MethodPost, p.where+"statuses/"+string(p.check.Commit), s, nil)
		var f *failure
		if errors.As(err, &f) && f.full() {
			err = nil
		}
		if err != nil {
			return p.told, err
		}
		p.app.statuses.put(key, sent)
	}
	return forge.Told{
		External: p.check.External, State: p.check.State, Digest: p.digest, Done: p.check.State == forge.Final,
		At: p.app.options.Now(),
	}, nil
}

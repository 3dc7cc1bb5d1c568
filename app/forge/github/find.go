package github

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/google/go-github/v62/github"
	"github.com/velocity-ci/velocity/app/forge"
)

// stale is the conclusion of a run that GitHub gave up.
const stale = "stale"

// found is a check run as GitHub sends it.
type found struct {
	ID         int64     `json:"id"`
	External   string    `json:"external_id"`
	Status     string    `json:"status"`
	Conclusion string    `json:"conclusion"`
	Started    time.Time `json:"started_at"`
	Output     struct {
		Annotations int `json:"annotations_count"`
	} `json:"output"`
	App struct {
		ID int64 `json:"id"`
	} `json:"app"`
}

// find looks for a run that was made after the one that was told of last, since an
// answer may have been lost, or a record. The newest one for this build is gone on
// with, or else the newest one of all, if it is not completed: it would be left
// behind for ever. find reports whether there is one; if not, a new one is to be made.
func (p *posting) find(ctx context.Context) (bool, error) {
	var ours, newest found
	query := url.Values{"check_name": {p.check.Name}, "app_id": {fmt.Sprint(p.app.options.AppID)}, "filter": {"all"}}
	err := pages(func(page string) (*github.Response, error) {
		var some struct {
			Runs []found `json:"check_runs"`
		}
		resp, err := p.door.get(ctx, fmt.Sprintf("%scommits/%s/check-runs?%s&%s", p.where, p.check.Commit, query.Encode(), page), &some)
		for _, r := range some.Runs {
			if r.App.ID != p.app.options.AppID || r.ID <= p.told.ID {
				continue
			}
			if r.ID > newest.ID {
				newest = r
			}
			if r.External == p.check.External && r.ID > ours.ID {
				ours = r
			}
		}
		return resp, err
	})
	if err != nil {
		return false, err
	}
	p.told = forge.Told{}
	return ours.ID != 0 && p.adopt(ours) || ours.ID == 0 && newest.ID != 0 && p.adopt(newest), nil
}

// adopt takes a run for the one to go on with, as far as it can be gone on with.
func (p *posting) adopt(r found) bool {
	ours := r.External == p.check.External
	if r.Status != completed {
		p.born = p.began(r)
		if p.old(p.born) || !ours && r.Output.Annotations > 0 {
			return false
		}
		p.told.ID, p.told.External, p.told.Annotations = r.ID, r.External, r.Output.Annotations
		p.told.State = map[bool]forge.State{true: forge.Queued, false: forge.Running}[r.Status == queued]
		return true
	}
	if !ours || r.Conclusion == stale {
		return false
	}
	p.told = forge.Told{
		External: r.External, ID: r.ID, State: forge.Final, Annotations: r.Output.Annotations, Done: true,
		At: p.app.options.Now(), Digest: p.digest,
	}
	return true
}

// began is when a run was made, as far as that can be known: GitHub says when it was
// started.
func (p *posting) began(r found) time.Time {
	switch {
	case !r.Started.IsZero():
		return r.Started
	case !p.told.At.IsZero():
		return p.told.At
	}
	return p.app.options.Now()
}

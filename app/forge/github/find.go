package github

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/google/go-github/v62/github"
	"github.com/velocity-ci/velocity/app/forge"
)

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

// find looks for a run of ours that was made for this build after the one that was
// told of last: its answer may have been lost, or the record of it. It reports
// whether there is one to go on with; if not, a new one is to be made.
func (p *posting) find(ctx context.Context) (bool, error) {
	newest := found{ID: p.told.ID}
	query := url.Values{"check_name": {p.check.Name}, "app_id": {fmt.Sprint(p.app.options.AppID)}, "filter": {"all"}}
	err := pages(func(page string) (*github.Response, error) {
		var some struct {
			Runs []found `json:"check_runs"`
		}
		resp, err := p.door.get(ctx, fmt.Sprintf("%scommits/%s/check-runs?%s&%s", p.where, p.check.Commit, query.Encode(), page), &some)
		for _, r := range some.Runs {
			if r.App.ID == p.app.options.AppID && r.External == p.check.External && r.ID > newest.ID {
				newest = r
			}
		}
		return resp, err
	})
	if err != nil {
		return false, err
	}
	missing := newest.ID == p.told.ID
	p.told = forge.Told{}
	if missing {
		return false, nil
	}
	if !p.adopt(newest) {
		p.told = forge.Told{}
		return false, nil
	}
	return true, nil
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
	if !ours || p.after(r.Conclusion) {
		return false
	}
	p.told = forge.Told{
		External: r.External, ID: r.ID, State: forge.Final, Annotations: r.Output.Annotations, Done: true,
		At: p.app.options.Now(), Digest: digest("run", r.Conclusion, p.whole),
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

// after reports whether a build that ended so may go on: when it was held, or when
// GitHub gave it up.
func (p *posting) after(conclusion string) bool {
	if conclusion == held {
		return p.whole.Conclusion != held
	}
	return conclusion == "stale"
}

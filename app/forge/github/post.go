package github

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
)

// maxAge is how long a check run may be incomplete. GitHub gives it up after 14
// days, for good.
const maxAge = 13 * 24 * time.Hour

// Post shows a check as a check run, or as a commit status where check runs are not
// permitted. A completed run is never changed: of the same External there is nothing
// more to say, and of another there is a new run of the same name. So a build that is
// held has one External until it is approved, and another one after that. It is a
// forge.Poster's.
func (a *App) Post(ctx context.Context, c forge.Check, told forge.Told) (forge.Told, error) {
	told, err := a.post(ctx, c, told)
	var f *failure
	if !errors.As(err, &f) || !f.moved() {
		return told, err
	}
	// Writes are not redirected: where the repository is now is asked for by its
	// number.
	now, lost := a.Repository(ctx, c.Repository.Installation, c.Repository.ID)
	if lost != nil {
		return told, lost
	}
	if now.Name == c.Repository.Name {
		return told, err
	}
	c.Repository = now
	return a.post(ctx, c, told)
}

func (a *App) post(ctx context.Context, c forge.Check, told forge.Told) (forge.Told, error) {
	where, err := within(c.Repository, "")
	if err != nil {
		return told, err
	}
	p := &posting{app: a, door: a.door(c.Repository.Installation), where: where, check: c, told: told, whole: compose(c)}
	p.digest = digest(p.whole)
	if settled(c, told) || p.shown() {
		return told, nil
	}
	ok, err := p.door.grants(ctx, "checks")
	if err != nil {
		return told, err
	}
	if ok {
		if err = p.do(ctx); !refused(err) {
			return p.told, err
		}
	}
	return p.status(ctx)
}

// refused reports whether check runs are not for this App here, as opposed to
// limits and other reasons for the same number.
func refused(err error) bool {
	var f *failure
	return errors.Is(err, forge.ErrForbidden) && errors.As(err, &f) && f.integration()
}

// settled reports whether what was told is final for the same build.
func settled(c forge.Check, told forge.Told) bool { return told.Done && told.External == c.External }

// A posting brings one check run up to a check.
type posting struct {
	app    *App
	door   *door
	where  string // path of the repository
	check  forge.Check
	whole  run    // what shall be seen in the end
	digest string // of the whole
	told   forge.Told
	born   time.Time // when the run that is gone on with began
}

func (p *posting) do(ctx context.Context) error {
	going, err := p.goOn(ctx)
	if err != nil {
		return err
	}
	if !going {
		if going, err = p.find(ctx); err != nil {
			return err
		}
	}
	if going && p.told.Done { // it was over, and the answer had been lost
		return nil
	}
	return p.send(ctx)
}

// shown reports whether GitHub shows it all, and will for a while.
func (p *posting) shown() bool {
	return p.told.ID != 0 && p.told.External == p.check.External && p.told.Digest == p.digest && !p.old(p.told.At)
}

// old reports whether a run that began at a time will soon be given up by GitHub.
func (p *posting) old(born time.Time) bool { return p.app.options.Now().Sub(born) > maxAge }

// goOn reports whether the run that was told of last can be gone on with. If it is
// not known exactly what GitHub has of it, GitHub is asked.
func (p *posting) goOn(ctx context.Context) (bool, error) {
	if p.told.ID == 0 || p.told.Done {
		return false, nil
	}
	born, sure := p.app.runs.take(p.told.ID)
	if sure {
		// Annotations cannot be taken back: those of another build stay where they are.
		if p.old(born) || p.told.Annotations > 0 && p.told.External != p.check.External {
			return false, nil
		}
		p.born = born
		return true, nil
	}
	var have found
	_, err := p.door.get(ctx, fmt.Sprintf("%scheck-runs/%d", p.where, p.told.ID), &have)
	if errors.Is(err, forge.ErrGone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return p.adopt(have), nil
}

// send sends what is missing: the annotations in as many requests as they take, and
// with the last of them the end. Only that completes the run, for nothing can be
// added to a completed one.
func (p *posting) send(ctx context.Context) error {
	if p.whole.Status == queued && p.told.State == forge.Running {
		p.whole.Status = inProgress // a run that goes on does not go back
	}
	for {
		part, sent, last := p.next()
		err := p.request(ctx, part)
		if errors.Is(err, forge.ErrInvalid) {
			p.app.options.Log.Warn("GitHub refuses a check run, which is sent without details", "repository", p.check.Repository.Name,
				"check", p.check.Name, "build", p.check.External, "error", err)
			sent, last = 0, true
			err = p.request(ctx, p.whole.minimal())
		}
		if err != nil {
			return err
		}
		p.told.Annotations += sent
		if last {
			p.finish()
			return nil
		}
	}
}

// next is the next request, how many annotations it brings and whether it is the
// last one.
func (p *posting) next() (part run, sent int, last bool) {
	part = p.whole
	rest := part.Output.Annotations[min(p.told.Annotations, len(part.Output.Annotations)):]
	if len(rest) <= perRequest {
		part.Output.Annotations = rest
		return part, len(rest), true
	}
	part.Status, part.Conclusion, part.Completed = inProgress, "", nil
	part.Output.Annotations, part.Actions = rest[:perRequest], []action{}
	return part, perRequest, false
}

// request creates the run, or changes it. Until the answer is here it is not known
// what GitHub has.
func (p *posting) request(ctx context.Context, part run) error {
	method, path := "PATCH", fmt.Sprintf("%scheck-runs/%d", p.where, p.told.ID)
	if p.told.ID == 0 {
		method, path, part.HeadSHA = "POST", p.where+"check-runs", string(p.check.Commit)
	}
	p.app.runs.take(p.told.ID)
	var have found
	if _, err := p.door.ask(ctx, method, path, part, &have); err != nil {
		return err
	}
	if p.told.ID == 0 {
		if have.ID == 0 {
			return errors.New("github: a check run was made, and its number is not in the answer")
		}
		p.told.ID, p.born = have.ID, p.app.options.Now()
	}
	p.told.External, p.told.At = p.check.External, p.app.options.Now()
	p.told.Digest, p.told.Done = "", false
	if part.Status != queued {
		p.told.State = forge.Running
	}
	p.app.runs.put(p.told.ID, p.born)
	return nil
}

// finish notes that all was sent.
func (p *posting) finish() {
	p.told.State, p.told.Digest = max(p.check.State, p.told.State), p.digest
	if p.told.Done = p.check.State == forge.Final; p.told.Done {
		p.app.runs.take(p.told.ID)
	}
}

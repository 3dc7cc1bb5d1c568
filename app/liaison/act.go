package liaison

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/hooks"
)

// actor is how a person of a forge stands in records.
func actor(p place, e hooks.Event) string {
	return fmt.Sprintf("%s (%s %d)", e.Sender.Login, p.repo.Kind, e.Sender.ID)
}

// act does what a button of a check says.
func (l *Liaison) act(ctx context.Context, p place, e hooks.Event, ask string) (note string, err error) {
	if note, err := l.refuse(ctx, p, e); note != "" || err != nil {
		return note, err
	}
	id, _, _ := strings.Cut(e.External, "/")
	b, err := p.Find(ctx, id)
	if err != nil {
		return fmt.Sprintf("no build %q is here: %v", id, err), nil
	}
	if b.Trigger.Commit != e.Commit && e.Commit != "" {
		return fmt.Sprintf("build %s is not of %s", b.ID, e.Commit), nil
	}
	return l.do(ctx, p, b, ask, actor(p, e))
}

// refuse says why somebody may not act; "" if they may.
func (l *Liaison) refuse(ctx context.Context, p place, e hooks.Event) (string, error) {
	if e.Sender.ID == 0 || e.Sender.Bot {
		return "nobody known has asked for it", nil
	}
	may, err := l.may(ctx, p, person(e.Sender))
	if err != nil || may {
		return "", err
	}
	return fmt.Sprintf("refused: %s may not write to %s", e.Sender.Login, p.repo.Name), nil
}

// do acts on one build.
func (l *Liaison) do(ctx context.Context, p place, b *build.Build, ask, by string) (note string, err error) {
	final := b.State().Final()
	switch ask {
	case hooks.AskRerun:
		return note, p.Rerun(ctx, b, false, by)
	case hooks.AskFailed:
		if !final || b.State() == build.Succeeded || b.Plan == "" {
			return fmt.Sprintf("build %s has nothing that failed", b.ID), nil
		}
		return "", p.Rerun(ctx, b, true, by)
	case hooks.AskCancel:
		if final {
			return fmt.Sprintf("build %s is over", b.ID), nil
		}
		return "", p.Cancel(ctx, b, "canceled by "+by)
	case hooks.AskApprove:
		var other *build.MismatchError
		err := p.Approve(ctx, b, by)
		if errors.Is(err, build.ErrNotHeld) || errors.As(err, &other) {
			return err.Error(), nil
		}
		return "", err
	}
	return fmt.Sprintf("%.40q is nothing that can be asked for", ask), nil
}

// rerunSuite runs again what failed of a commit, or all of it if nothing did.
func (l *Liaison) rerunSuite(ctx context.Context, p place, e hooks.Event) (note string, err error) {
	if note, err := l.refuse(ctx, p, e); note != "" || err != nil {
		return note, err
	}
	all, err := l.newest(ctx, p, e.Commit)
	if err != nil {
		return "", err
	}
	var failed []*build.Build
	for _, b := range all {
		if b.State() == build.Failed {
			failed = append(failed, b)
		}
	}
	if len(failed) == 0 {
		failed = all
	}
	for _, b := range failed {
		if !b.State().Final() {
			continue // it runs
		}
		if err := p.Rerun(ctx, b, false, actor(p, e)); err != nil {
			return "", err
		}
	}
	return "", nil
}

// newest are the newest builds of a commit, one for each pipeline.
func (l *Liaison) newest(ctx context.Context, p place, c plan.Commit) ([]*build.Build, error) {
	all, err := p.Builds(ctx, c)
	if err != nil {
		return nil, err
	}
	var newest []*build.Build
	seen := map[string]bool{}
	for _, b := range all {
		if !seen[b.Name] {
			seen[b.Name] = true
			newest = append(newest, b)
		}
	}
	return newest, nil
}

// obey does what a comment on a pull request says, about the builds of its head. To
// approve a fork's code its commit has to be named: another one may have come since
// the comment was begun.
func (l *Liaison) obey(ctx context.Context, p place, e hooks.Event) (note string, err error) {
	if note, err := l.refuse(ctx, p, e); note != "" || err != nil {
		return note, err
	}
	pull, err := p.forge.Pull(ctx, p.repo, e.Pull)
	if err != nil {
		return "", err
	}
	switch {
	case !pull.Open:
		return "the pull request is closed", nil
	case e.Commit != "" && e.Commit != pull.Head:
		return fmt.Sprintf("refused: %s is not the head any more, %s is", e.Commit, pull.Head), nil
	case e.Action == hooks.AskApprove && pull.Fork && e.Commit == "":
		return "refused: of a fork, the commit has to be named: /velocity approve " + string(pull.Head), nil
	}
	all, err := l.newest(ctx, p, pull.Head)
	if err != nil {
		return "", err
	}
	var notes []string
	for _, b := range all {
		if e.Action == hooks.AskApprove && !b.AwaitsApproval() {
			continue
		}
		note, err := l.do(ctx, p, b, e.Action, actor(p, e))
		if err != nil {
			return "", err
		}
		if note != "" {
			notes = append(notes, note)
		}
	}
	if len(all) == 0 {
		notes = append(notes, "there is no build of "+pull.Head.Short())
	}
	return strings.Join(notes, "; "), nil
}

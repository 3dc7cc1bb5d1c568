package liaison

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/hooks"
)

// actor is how somebody who acts stands in records: by the number, too, for names
// pass from one to another.
func actor(j job) string {
	return fmt.Sprintf("%s (%s %d)", cmp.Or(j.event.Sender.Login, "somebody"), j.delivery.Forge, j.event.Sender.ID)
}

// refuse says why whoever sent a delivery may not act; "" if they may: people who may
// write, at this moment. A bot would act for somebody whom we do not know.
func (l *Liaison) refuse(ctx context.Context, p place, j job) (string, error) {
	by := person(j.event.Sender)
	if by.ID == 0 || by.Bot {
		return "refused: it is not known which person asks for it", nil
	}
	may, err := l.may(ctx, p, by)
	if err != nil || may {
		return "", err
	}
	return fmt.Sprintf("refused: %s may not write to %s", by.Login, p.repo.Name), nil
}

// press does what a button of a check asks for.
func (l *Liaison) press(ctx context.Context, p place, j job, ask string) (note string, err error) {
	if note, err := l.refuse(ctx, p, j); note != "" || err != nil {
		return note, err
	}
	text, _, _ := strings.Cut(j.event.External, "/") // a task's key may be behind it
	id, err := build.ParseID(text)
	if err != nil {
		return fmt.Sprintf("the check is not of a build of ours: %v", err), nil
	}
	b, ok, err := p.Find(ctx, id)
	switch {
	case err != nil:
		return "", err
	case !ok:
		return fmt.Sprintf("there is no build %s", id), nil
	case b.Trigger.Commit != j.event.Commit:
		return fmt.Sprintf("build %s is not of %s", id, j.event.Commit), nil
	}
	return l.do(ctx, p, j, b, ask)
}

// do does to one build what is asked for. The note is why it is not done.
func (l *Liaison) do(ctx context.Context, p place, j job, b *build.Build, ask string) (note string, err error) {
	switch ask {
	case hooks.AskRerun:
		return l.rerun(ctx, p, j, b, false)
	case hooks.AskFailed:
		return l.rerun(ctx, p, j, b, true)
	case hooks.AskCancel:
		if b.State().Final() {
			return fmt.Sprintf("build %s is over", b.ID), nil
		}
		return "", p.Cancel(ctx, b, "canceled by "+actor(j))
	case hooks.AskApprove:
		var other *build.MismatchError
		err := p.Approve(ctx, b, actor(j))
		if errors.Is(err, build.ErrNotHeld) || errors.As(err, &other) {
			return err.Error(), nil
		}
		return "", err
	}
	return fmt.Sprintf("%.40q is nothing that can be asked for", ask), nil
}

// rerun runs a build again unless one like it is under way, as it is if somebody
// presses twice.
func (l *Liaison) rerun(ctx context.Context, p place, j job, b *build.Build, failed bool) (note string, err error) {
	all, err := p.Builds(ctx, b.Trigger.Commit)
	if err != nil {
		return "", err
	}
	for _, one := range append(all, b) {
		if kindOf(one) == kindOf(b) && !one.State().Final() {
			return fmt.Sprintf("build %s is not over", one.ID), nil
		}
	}
	if failed && (b.State() == build.Succeeded || b.Plan == "") {
		return fmt.Sprintf("nothing of build %s can be kept, or nothing failed", b.ID), nil
	}
	return "", p.Rerun(ctx, b, failed, l.trigger(j, b.ID.String(), plan.Trigger{Actor: actor(j)}))
}

// A kind is what the builds of a commit have in common that are re-runs of each other.
type kind struct {
	name   string
	event  plan.Event
	ref    string
	target string
}

func kindOf(b *build.Build) kind {
	return kind{b.Name, b.Trigger.Event, b.Trigger.Ref, b.Trigger.Target}
}

// newest are the newest builds of a commit, one of each kind.
func newest(ctx context.Context, p place, c plan.Commit) ([]*build.Build, error) {
	all, err := p.Builds(ctx, c)
	if err != nil {
		return nil, err
	}
	var newest []*build.Build
	seen := map[kind]bool{}
	for _, b := range all {
		if !seen[kindOf(b)] {
			seen[kindOf(b)] = true
			newest = append(newest, b)
		}
	}
	return newest, nil
}

// rerunSuite runs again what failed of a commit or was canceled, or all of it if
// nothing was.
func (l *Liaison) rerunSuite(ctx context.Context, p place, j job) (note string, err error) {
	if note, err := l.refuse(ctx, p, j); note != "" || err != nil {
		return note, err
	}
	all, err := newest(ctx, p, j.event.Commit)
	if err != nil {
		return "", err
	}
	var failed []*build.Build
	for _, b := range all {
		if b.State() == build.Failed {
			failed = append(failed, b)
		}
	}
	if len(failed) > 0 {
		all = failed
	}
	return l.doAll(ctx, p, j, all, hooks.AskRerun)
}

// doAll does to several builds what is asked for.
func (l *Liaison) doAll(ctx context.Context, p place, j job, all []*build.Build, ask string) (note string, err error) {
	var notes []string
	for _, b := range all {
		note, err := l.do(ctx, p, j, b, ask)
		if err != nil {
			return "", err
		}
		if note != "" {
			notes = append(notes, note)
		}
	}
	if len(all) == 0 {
		notes = append(notes, "there is no such build")
	}
	return strings.Join(notes, "; "), nil
}

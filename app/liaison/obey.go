package liaison

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/hooks"
)

// obey does what a comment on a pull request says, to the builds of its head, and of
// its alone: another pull request may have the same head.
func (l *Liaison) obey(ctx context.Context, p place, j job) (note string, err error) {
	if note, err := l.refuse(ctx, p, j); note != "" || err != nil {
		return note, err
	}
	pull, err := p.forge.Pull(ctx, p.repo, j.event.Pull)
	if err != nil && !errors.Is(err, forge.ErrGone) { // one that is gone is not open
		return "", err
	}
	if note := impossible(pull, j.event); note != "" {
		return note, nil
	}
	all, err := newest(ctx, p, pull.Head)
	if err != nil {
		return "", err
	}
	mine := slices.DeleteFunc(all, func(b *build.Build) bool {
		return !about(b, p.repo.Kind, pull) || j.event.Action == hooks.AskApprove && !b.AwaitsApproval()
	})
	return l.doAll(ctx, p, j, mine, j.event.Action)
}

// impossible says why a command is not obeyed; "" if it is. To approve a fork's code
// its commit has to be named: another one may have come since the comment was begun.
func impossible(pull forge.Pull, e hooks.Event) string {
	switch {
	case !pull.Open:
		return "the pull request is closed"
	case e.Commit != "" && e.Commit != pull.Head:
		return fmt.Sprintf("refused: %s is not the head, %s is", e.Commit, pull.Head)
	case e.Action == hooks.AskApprove && pull.Fork && e.Commit == "":
		return "refused: of a fork, the commit has to be named: /velocity approve " + string(pull.Head)
	}
	return ""
}

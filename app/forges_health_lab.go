package app

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
)

// examineLab logs what keeps GitLab from working that only people can mend: the token,
// the address, or a webhook that GitLab does not call any more.
func (f *forges) examineLab(ctx context.Context) {
	if f.lab == nil {
		return
	}
	n := f.labSaid.again(f.s.log)
	health, err := f.lab.Check(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		n.say(ctx, slog.LevelError, "check", "GitLab cannot be used: see gitlab.url and gitlab.token, and docs/gitlab.md", "url", f.conf.GitLab.URL, "err", err)
	}
	if len(health.Missing) > 0 {
		n.say(ctx, slog.LevelError, "scopes", "the token for GitLab lacks scopes: make one that has them",
			"token", health.Name, "needed", health.Missing, "has", health.Scopes)
	}
	if health.Soon {
		n.say(ctx, slog.LevelWarn, "expires", "the token for GitLab expires soon: rotate it, and write the new one into its file",
			"token", health.Name, "expires", health.Expires.Format(time.DateOnly))
	}
	if err == nil {
		err = f.examineHooks(ctx, n)
	}
	f.labSaid.keep(n, err == nil)
}

// examineHooks looks whether GitLab calls the webhooks of projects that have one. A
// token that may not see them is no reason for a word: they may be made by hand.
func (f *forges) examineHooks(ctx context.Context, n *notices) error {
	if f.conf.URL == "" {
		return nil
	}
	address := strings.TrimSuffix(f.conf.URL, "/") + hooksOfGitLab
	for _, h := range f.s.houses.list() {
		if h.key.Kind != forge.GitLab {
			continue
		}
		r := h.remote()
		hook, err := f.lab.ProjectHook(ctx, r.ID, address)
		switch {
		case errors.Is(err, forge.ErrGone), errors.Is(err, forge.ErrForbidden):
		case err != nil:
			return err
		case hook.Disabled:
			n.say(ctx, slog.LevelWarn, "webhook of "+r.String(),
				"GitLab does not call a webhook, for it failed too often: velocity gitlab connect has it tried", "repo", r.Name, "webhook", hook.ID)
		}
	}
	return nil
}

package app

import (
	"context"
	"log/slog"
	"maps"

	"github.com/velocity-ci/velocity/app/forge/github"
)

// examine logs what keeps the App from working that only people can mend: a clock, or
// what was not granted. It is said again only after it was gone.
func (f *forges) examine(ctx context.Context) {
	h := f.hub.Load()
	if h == nil {
		return
	}
	health, err := h.app.Check(ctx)
	if ctx.Err() != nil {
		return
	}
	said := map[string]bool{}
	say := func(level slog.Level, key, text string, more ...any) {
		said[key] = true
		if !h.said[key] {
			f.s.log.Log(ctx, level, text, more...)
		}
	}
	if health.Skew.Abs() >= github.MaxSkew/2 {
		say(slog.LevelWarn, "clock", "the clock differs from GitHub's", "ahead", health.Skew)
	}
	lacks := func(of string, all []github.Need) {
		for _, n := range all {
			level := slog.LevelWarn
			if n.Optional {
				level = slog.LevelInfo
			}
			say(level, of+" "+n.Name, "the GitHub App lacks something", "of", of, "needed", n.Name, "access", n.Access, "for", n.Reason)
		}
	}
	lacks("the App", health.Missing)
	for _, in := range health.Installations {
		if !in.Suspended {
			lacks(in.Account, in.Missing)
		}
	}
	if err != nil {
		maps.Copy(said, h.said) // it is not known what is all right again
	}
	h.said = said
}

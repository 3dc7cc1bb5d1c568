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
	n := h.said.again(f.s.log)
	if health.Skew.Abs() >= github.MaxSkew/2 {
		n.say(ctx, slog.LevelWarn, "clock", "the clock differs from GitHub's", "ahead", health.Skew)
	}
	lacks := func(of string, all []github.Need) {
		for _, need := range all {
			level := slog.LevelWarn
			if need.Optional {
				level = slog.LevelInfo
			}
			n.say(ctx, level, of+" "+need.Name, "the GitHub App lacks something", "of", of, "needed", need.Name, "access", need.Access, "for", need.Reason)
		}
	}
	lacks("the App", health.Missing)
	for _, in := range health.Installations {
		if !in.Suspended {
			lacks(in.Account, in.Missing)
		}
	}
	h.said.keep(n, err == nil)
}

// notices are what was said of a forge's health, so that it is said again only after
// it was gone. They are for one goroutine.
type notices struct {
	log  *slog.Logger
	old  map[string]bool
	said map[string]bool
}

// again begins another look.
func (n *notices) again(log *slog.Logger) *notices {
	return &notices{log: log, old: n.said, said: map[string]bool{}}
}

// say logs something unless it was said at the last look.
func (n *notices) say(ctx context.Context, level slog.Level, key, text string, more ...any) {
	n.said[key] = true
	if !n.old[key] {
		n.log.Log(ctx, level, text, more...)
	}
}

// keep ends a look. If it was not whole, it is not known what is all right again.
func (n *notices) keep(look *notices, whole bool) {
	if !whole {
		maps.Copy(look.said, n.said)
	}
	n.said = look.said
}

package architect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"syscall"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// ErrGone means that the repository does not have a commit (any more).
var ErrGone = errors.New("no such commit in the repository")

// fallback names the build that says why a trigger could not be planned.
const fallback = "default"

// A draft is a build to be made: a plan, or the reason why there is none.
type draft struct {
	kind    plan.Kind
	name    string
	plan    *plan.Plan
	digest  string
	config  plan.Commit
	refused string
	skip    bool // nothing that the pipeline is about has changed
	held    bool // nothing of it starts before somebody approves it
	// approval was given to the same commit and plan before; nil if none was.
	approval *build.Approval
	secrets  map[string]string
	stands   map[string]build.Success // for tasks of the plan, by their keys in it
	urgency  int                      // among the waiting tasks of the repository
	branch   string                   // see work
}

func refusal(name, reason string) draft {
	if name == "" {
		name = fallback
	}
	return draft{kind: plan.OfPipeline, name: name, refused: reason}
}

// A reading is what a trigger turns out to ask for.
type reading struct {
	trigger plan.Trigger // with the commit that was really meant
	drafts  []draft      // builds to be made
	known   []answering  // builds that answer it already
	note    string       // why there is nothing to build
}

// An answering build is one that answers a trigger for its pipeline.
type answering struct {
	id   build.ID
	name string
}

func refused(t plan.Trigger, reason string) reading {
	return reading{trigger: t, drafts: []draft{refusal(t.Name, reason)}}
}

// read opens the configuration that counts for the trigger and draws what it asks
// for. Whatever is wrong with what users wrote is a refused draft; an error is a
// repository that cannot be read.
func (a *Architect) read(ctx context.Context, s *Site, t plan.Trigger) (r reading, err error) {
	defer func() {
		if p := recover(); p != nil { // one poisoned trigger must not hold up the others
			a.Logger.Error("planning broke", "trigger", t.ID, "panic", p, "stack", string(debug.Stack()))
			r, err = refused(t, fmt.Sprintf("internal error while planning: %v", p)), nil
		}
	}()
	if t.Skip {
		return reading{trigger: t, note: "skipped: the push said so"}, nil
	}
	if t.Failed {
		return a.again(ctx, s, t)
	}
	tree, commit, err := s.Repo.Tree(ctx, t.Commit)
	switch {
	case errors.Is(err, ErrGone):
		return refused(t, fmt.Sprintf("commit %s is gone from the repository", t.Commit)), nil
	case err != nil:
		return unreadable(ctx, t, err)
	}
	t.Commit = commit // what a tag points at
	from := commit
	if t.Event.Proposes() && !t.Trusted() {
		if tree, from, err = s.target(ctx, t); err != nil {
			return unreadable(ctx, t, err)
		}
	}
	config, findings, err := blueprint.Load(tree)
	if err != nil {
		return unreadable(ctx, t, fmt.Errorf("configuration: %w", err))
	}
	if err := findings.Err(); err != nil {
		return a.refuse(ctx, s, t, from, describe(err))
	}
	if s.unwanted(ctx, t) {
		return reading{trigger: t, note: "skipped: the message of " + t.Commit.Short() + " says so"}, nil
	}
	return a.wanted(ctx, s, config, from, t)
}

// refuse is what becomes of a trigger whose configuration, at the commit from, has
// errors.
func (a *Architect) refuse(ctx context.Context, s *Site, t plan.Trigger, from plan.Commit, reason string) (reading, error) {
	r := refused(t, reason)
	r.drafts[0].config = from
	have, err := a.existing(ctx, s, t, from)
	if err != nil {
		return reading{}, err
	}
	if id, ok := have[r.drafts[0].name]; ok {
		return reading{trigger: t, known: []answering{{id, r.drafts[0].name}}}, nil
	}
	return r, nil
}

// target opens the configuration of the branch that a pull request is for: what a
// stranger wrote says nothing about how it is built.
func (s *Site) target(ctx context.Context, t plan.Trigger) (blueprint.Tree, plan.Commit, error) {
	tips, err := s.Repo.Tips(ctx)
	if err != nil {
		return nil, "", err
	}
	tip, ok := tips[t.Target]
	if !ok {
		return nil, "", fmt.Errorf("the configuration of %q counts for what a stranger sent, and there is no such branch", t.Target)
	}
	return s.Repo.Tree(ctx, tip)
}

// unreadable tells what is wrong with the one thing that was pushed, such as a
// file that is none or an object that is damaged, from a machine that cannot read
// at all. The former must not stop what others push.
func unreadable(ctx context.Context, t plan.Trigger, err error) (reading, error) {
	var path *fs.PathError
	var call syscall.Errno
	if ctx.Err() != nil || errors.As(err, &path) || errors.As(err, &call) {
		return reading{}, err
	}
	return refused(t, err.Error()), nil
}

// wanted draws the plans of a trigger by the configuration at the commit from,
// except those that an equal trigger has been answered with.
func (a *Architect) wanted(ctx context.Context, s *Site, config *blueprint.Config, from plan.Commit, t plan.Trigger) (reading, error) {
	r := reading{trigger: t}
	changes := map[string]*Comparison{}
	matched, err := config.Match(t, func(pipeline string, patterns []string) (bool, error) {
		changes[pipeline] = Compare(ctx, s.Repo, s.History, pipeline, t)
		return changes[pipeline].Changed(patterns)
	})
	if err != nil {
		return unreadable(ctx, t, err)
	}
	if len(matched) == 0 {
		r.note = nothing(config, t)
		return r, nil
	}
	have, err := a.existing(ctx, s, t, from)
	if err != nil {
		return r, err
	}
	urgent := a.urgent(ctx, s, t, config)
	for _, m := range matched {
		if id, ok := have[m.Name]; ok {
			r.known = append(r.known, answering{id, m.Name})
			continue
		}
		c := changes[m.Name]
		if c == nil {
			c = Compare(ctx, s.Repo, s.History, m.Name, t)
		}
		d := s.draw(ctx, config, from, m.Name, t, c)
		d.skip = m.Skip
		if err := s.hold(ctx, t, &d); err != nil {
			return r, err
		}
		if d.plan != nil && !d.skip {
			if d.stands, err = a.stand(ctx, s, d.plan, t); err != nil {
				return r, err
			}
		}
		d.urgency = urgent[m.Name]
		r.drafts = append(r.drafts, d)
	}
	return r, nil
}

// unwanted reports whether the message of what was pushed, or is the head of a
// pull request, asks for no builds. Who asks for one by name gets it.
func (s *Site) unwanted(ctx context.Context, t plan.Trigger) bool {
	if t.Name != "" || t.Event != plan.EventPush && t.Event != plan.EventPullRequest {
		return false
	}
	message, err := s.Repo.Facts(ctx, t.Commit, t.Ref)("git.commit.message")
	return err == nil && blueprint.Skips(message)
}

// draw draws one plan, by what has changed.
func (s *Site) draw(ctx context.Context, config *blueprint.Config, from plan.Commit, name string, t plan.Trigger, c *Comparison) draft {
	p, err := config.Draw(blueprint.Request{
		Name: name, Trigger: t, Config: from, Git: s.Repo.Facts(ctx, t.Commit, t.Ref), Stored: s.stored,
		Changed: c.Changed, Digest: c.Digest,
	})
	if err != nil {
		d := refusal(name, err.Error())
		d.config = from
		return d
	}
	p.Base, _ = c.Base() // known by now if anything asked for it
	digest, err := p.Digest()
	if err != nil {
		return refusal(name, err.Error())
	}
	return draft{kind: p.Kind, name: p.Name, plan: p, digest: digest, config: from}
}

// describe is what a build says whose configuration has errors: the first of
// them, and how many there are.
func describe(err error) string {
	var bad blueprint.Findings
	if !errors.As(err, &bad) || len(bad) == 0 {
		return "configuration: " + err.Error()
	}
	if len(bad) == 1 {
		return "configuration: " + bad[0].String()
	}
	return fmt.Sprintf("configuration: %s (and %d more; velocity lint shows all)", bad[0], len(bad)-1)
}

// nothing says why no pipeline is built.
func nothing(config *blueprint.Config, t plan.Trigger) string {
	if len(config.Pipelines())+len(config.Blueprints()) == 0 {
		return "no configuration at " + t.Commit.Short() + ": nothing to build"
	}
	return "no pipeline asks for " + t.Ref
}

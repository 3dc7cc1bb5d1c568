package architect

import (
	"context"
	"fmt"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// Reusable finds the recorded successes that stand in for tasks of a plan, by the
// tasks' keys in it. Who asks for a build again wants to see it built, and strangers'
// code shares nothing with others. kept reports
// whether the artifacts of a success are still there; nil means that they always
// are.
func Reusable(ctx context.Context, past Past, kept func(ctx context.Context, of build.Origin) bool, p *plan.Plan, t plan.Trigger) (map[string]build.Success, error) {
	return stands(ctx, past, kept, p, t, nil)
}

// stand is Reusable with the builds under way, which the history does not have.
// They are looked for first: a build that ends meanwhile is in the history by then.
func (a *Architect) stand(ctx context.Context, s *Site, p *plan.Plan, t plan.Trigger) (map[string]build.Success, error) {
	if s.NoReuse {
		return nil, nil
	}
	return stands(ctx, s.History, s.Kept, p, t, func(keys map[string][]string) map[string]build.Success { return a.succeeded(s, keys) })
}

// stands finds what stands in for tasks: in what first knows, if there is that,
// then in the past.
func stands(ctx context.Context, past Past, kept func(context.Context, build.Origin) bool, p *plan.Plan, t plan.Trigger,
	first func(keys map[string][]string) map[string]build.Success) (map[string]build.Success, error) {
	if t.NoReuse || t.Parent != "" || !t.Trusted() {
		return nil, nil
	}
	wanted, keys := wantedKeys(p)
	if len(keys) == 0 {
		return nil, nil
	}
	var found map[string]build.Success
	if first != nil {
		found = first(wanted)
	}
	older, err := past.Reusable(ctx, keys)
	if err != nil {
		return nil, err
	}
	stands := map[string]build.Success{}
	for key, tasks := range wanted {
		success, ok := found[key]
		if !ok {
			success, ok = older[key]
		}
		if !ok || !has(ctx, kept, success) {
			continue
		}
		for _, task := range tasks {
			stands[task] = success
		}
	}
	return stands, nil
}

// wantedKeys are the keys of what tasks of a plan could reuse, in the plan's order,
// each with its tasks.
func wantedKeys(p *plan.Plan) (wanted map[string][]string, keys []string) {
	wanted = map[string][]string{}
	for i := range p.Stages {
		for j := range p.Stages[i].Tasks {
			t := &p.Stages[i].Tasks[j]
			if t.ReuseKey == "" || t.Effects || t.Skip {
				continue
			}
			if wanted[t.ReuseKey] == nil {
				keys = append(keys, t.ReuseKey)
			}
			wanted[t.ReuseKey] = append(wanted[t.ReuseKey], t.Key)
		}
	}
	return wanted, keys
}

// succeeded finds recorded successes under these keys in the builds under way.
func (a *Architect) succeeded(s *Site, keys map[string][]string) map[string]build.Success {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := map[string]build.Success{}
	for _, w := range a.works {
		if w.site != s || w.durable == nil || !w.durable.Reliable() {
			continue
		}
		for i := range w.durable.Stages {
			for j := range w.durable.Stages[i].Tasks {
				t := &w.durable.Stages[i].Tasks[j]
				if success, ok := w.durable.Success(t); ok && keys[t.ReuseKey] != nil {
					found[t.ReuseKey] = success
				}
			}
		}
	}
	return found
}

// has reports whether the artifacts of a success are still there to be used.
func has(ctx context.Context, kept func(context.Context, build.Origin) bool, of build.Success) bool {
	return len(of.Artifacts) == 0 || kept == nil || kept(ctx, of.Origin)
}

// again makes a build of the plan of a build that is over, which keeps what
// succeeded there.
func (a *Architect) again(ctx context.Context, s *Site, t plan.Trigger) (reading, error) {
	id, err := build.ParseID(t.Parent)
	if err != nil {
		return refused(t, err.Error()), nil
	}
	have, err := a.existing(ctx, s, t, "")
	if err != nil {
		return reading{}, err
	}
	if id, ok := have[t.Name]; ok {
		return reading{trigger: t, known: []answering{{id, t.Name}}}, nil
	}
	parent, ok, err := s.History.Recorded(ctx, id)
	switch {
	case err != nil:
		return reading{}, err
	case !ok:
		return refused(t, fmt.Sprintf("build %s is not here any more: velocity start builds its commit", id)), nil
	case !parent.Build.State().Final():
		return refused(t, fmt.Sprintf("build %s is not over: only then is it known what failed", id)), nil
	case parent.Plan == nil:
		return refused(t, fmt.Sprintf("build %s has no plan: velocity rerun draws a new one", id)), nil
	}
	d := draft{
		kind: parent.Plan.Kind, name: parent.Plan.Name, plan: parent.Plan, config: parent.Plan.ConfigCommit,
		stands: map[string]build.Success{}, urgency: a.urgent(ctx, s, t, nil)[parent.Plan.Name],
	}
	if d.digest, err = parent.Plan.Digest(); err != nil {
		return reading{}, err
	}
	for i := range parent.Build.Stages {
		for j := range parent.Build.Stages[i].Tasks {
			task := &parent.Build.Stages[i].Tasks[j]
			if success, ok := parent.Build.Success(task); ok && has(ctx, s.Kept, success) {
				d.stands[task.Key] = success
			}
		}
	}
	if err := s.hold(ctx, t, &d); err != nil {
		return reading{}, err
	}
	return reading{trigger: t, drafts: []draft{d}}, nil
}

package architect

import (
	"context"
	"fmt"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// stand finds the successes that stand in for tasks of a plan, by the tasks' keys
// in it. Who asks for a build again wants to see it built.
func (a *Architect) stand(ctx context.Context, s *Site, p *plan.Plan, t plan.Trigger) (map[string]build.Success, error) {
	if s.NoReuse || t.NoReuse || t.Parent != "" {
		return nil, nil
	}
	wanted := map[string][]string{} // tasks by the key of what they could reuse
	var keys []string
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
	if len(keys) == 0 {
		return nil, nil
	}
	found := a.succeeded(s, wanted)
	older, err := s.History.Reusable(ctx, keys)
	if err != nil {
		return nil, err
	}
	stands := map[string]build.Success{}
	for key, tasks := range wanted {
		success, ok := found[key]
		if !ok {
			success, ok = older[key]
		}
		if !ok || !s.has(ctx, success) {
			continue
		}
		for _, task := range tasks {
			stands[task] = success
		}
	}
	return stands, nil
}

// succeeded finds recorded successes under these keys in the builds under way,
// which the history does not have. They are looked for first: a build that ends
// meanwhile is in the history by then.
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
func (s *Site) has(ctx context.Context, of build.Success) bool {
	return len(of.Artifacts) == 0 || s.Kept == nil || s.Kept(ctx, of.Origin)
}

// again makes a build of the plan of a build that is over, which keeps what
// succeeded there.
func (a *Architect) again(ctx context.Context, s *Site, t plan.Trigger) (reading, error) {
	id, err := build.ParseID(t.Parent)
	if err != nil {
		return refused(t, err.Error()), nil
	}
	have, err := a.existing(ctx, s, t)
	if err != nil {
		return reading{}, err
	}
	if id, ok := have[t.Name]; ok {
		return reading{trigger: t, known: []build.ID{id}}, nil
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
			if success, ok := parent.Build.Success(task); ok && s.has(ctx, success) {
				d.stands[task.Key] = success
			}
		}
	}
	return reading{trigger: t, drafts: []draft{d}}, nil
}

package app

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/client"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/queue"
	"github.com/velocity-ci/velocity/blueprint"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

// builders compares what blueprints ask for with the builders that there are.
func (d *doctor) builders(ctx context.Context) []symptom {
	offers, found, known := d.offers(ctx)
	if !known {
		return found
	}
	if len(offers) == 0 {
		return append(found, problem("there is no builder: nothing is built").
			mend("velocity builder token, then velocity builder register and run on a machine; or builder.embedded: true"))
	}
	asked := d.demands(ctx)
	for _, ask := range slices.Sorted(maps.Keys(asked)) {
		if !slices.ContainsFunc(offers, asked[ask].Fits) {
			found = append(found, problem("no builder has what %s asks for", ask).
				mend("velocity builder list shows what builders have; register one with these labels and executors, or change the blueprint"))
		}
	}
	if len(found) == 0 {
		found = append(found, fine("builders: %d; kinds of tasks: %d, and each has a builder", len(offers), len(asked)))
	}
	return found
}

// offers are what builders can do that are there: the one in the server, and those
// that are connected to it. known is false if that cannot be told.
func (d *doctor) offers(ctx context.Context) (offers []queue.Offer, found []symptom, known bool) {
	ask := d.server
	if ask == nil {
		if o, ok := d.embedded(); ok {
			offers = append(offers, o)
		}
		local, err := d.local()
		if err != nil {
			return nil, []symptom{skipped("%v", err)}, false
		}
		ask = local
	}
	all, err := ask.Builders(ctx)
	var refused *client.StatusError
	switch {
	case errors.Is(err, client.ErrNoServer) && len(offers) > 0:
		return offers, nil, true
	case errors.Is(err, client.ErrNoServer):
		return nil, []symptom{skipped("no server runs here, and it would have no builder of its own")}, false
	case errors.As(err, &refused):
		return nil, []symptom{skipped("builders are for tokens with the right admin: %v", err)}, false
	case err != nil:
		return nil, []symptom{skipped("the builders could not be asked for: %v", err)}, false
	}
	for _, b := range all {
		if o, s := judgeBuilder(b); s.Verdict == verdictFine {
			offers = append(offers, o)
		} else if !b.Revoked {
			found = append(found, s)
		}
	}
	return offers, found, true
}

// judgeBuilder is what a builder offers, or why it takes nothing.
func judgeBuilder(b api.Builder) (queue.Offer, symptom) {
	o := queue.Offer{Labels: b.Labels, Executors: b.Executors, Untrusted: b.Untrusted}
	switch {
	case b.Revoked:
		return o, skipped("builder %s is revoked", b.Name)
	case b.Drained:
		return o, skipped("builder %s is drained", b.Name)
	case b.Connection == nil:
		return o, warning("builder %s is not connected", b.Name).mend("start velocity builder run there; its log says why it cannot connect")
	case b.Connection.Reason != "":
		return o, warning("builder %s takes nothing new: %s", b.Name, b.Connection.Reason).mend("that is to be mended on its machine")
	}
	return o, fine("builder %s", b.Name)
}

// embedded is the builder that a server with this configuration has in its process.
func (d *doctor) embedded() (o queue.Offer, ok bool) {
	app, err := d.c.appOf(d.conf)
	forged := d.conf.forged(err == nil && app != nil)
	on, err := d.conf.executes(forged, true)
	if err != nil || !d.conf.embeds(forged) {
		return o, false
	}
	o.Labels = d.conf.Builder.Labels
	if on.host {
		o.Executors = append(o.Executors, "host")
	}
	if on.docker || on.forImages {
		o.Executors = append(o.Executors, "docker")
	}
	if on.docker && d.c.dockerPlugin("docker-compose") != "" {
		o.Executors = append(o.Executors, "compose")
	}
	return o, true
}

// mostMirrors bounds the repositories of forges whose blueprints are looked at.
const mostMirrors = 100

// demands are the kinds of tasks that blueprints ask for, by what to call them.
func (d *doctor) demands(ctx context.Context) map[string]queue.Needs {
	paths := d.conf.paths()
	if d.server == nil {
		if state, err := d.c.stateFolder(d.conf.State); err == nil {
			mirrored, _ := filepath.Glob(filepath.Join(state, mirrorsFolder, "*.git")) // the pattern is a good one
			paths = append(paths, mirrored[:min(len(mirrored), mostMirrors)]...)
		}
	}
	all := map[string]queue.Needs{}
	for _, path := range paths {
		repo, err := openRepository(ctx, path)
		if err != nil {
			continue // repositories says so
		}
		maps.Copy(all, demandsOf(ctx, repo))
	}
	return all
}

// demandsOf are those of the pipelines at a repository's HEAD. What cannot be drawn
// without knowing more asks for nothing.
func demandsOf(ctx context.Context, repo *git.Repository) map[string]queue.Needs {
	all := map[string]queue.Needs{}
	config, err := headConfig(ctx, repo)
	if err != nil {
		return all // repositories says so
	}
	for _, pipeline := range config.Pipelines() {
		p, err := drawn(ctx, config, pipeline.Name)
		if err != nil {
			continue
		}
		for i := range p.Stages {
			for j := range p.Stages[i].Tasks {
				t := &p.Stages[i].Tasks[j]
				needs, what := architect.NeedsOf(t)
				all[nameOf(repo)+" "+pipeline.Name+" / "+t.Name+" ("+strings.Join(what, ", ")+")"] = needs
			}
		}
	}
	return all
}

// drawn is the plan of a pipeline for the commit at HEAD. Parameters that somebody
// would have to give are made up: what is asked of a builder seldom hangs on them.
func drawn(ctx context.Context, config checkedConfig, name string) (*plan.Plan, error) {
	commit := planCommit(config.from.commit)
	req := blueprint.Request{
		Name: name, Config: commit, Given: map[string]string{},
		Trigger: plan.Trigger{Event: plan.EventManual, Name: name, Ref: config.from.ref, Commit: commit},
		Git:     facts(ctx, config.from.repo, config.from.ref, config.from.commit),
	}
	p, err := config.Draw(req)
	var missing *blueprint.MissingError
	if errors.As(err, &missing) {
		for _, p := range missing.Parameters {
			req.Given[p.Name] = append(p.Options, "x")[0]
		}
		p, err = config.Draw(req)
	}
	return p, err
}

package blueprint

import (
	"slices"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A gallery finds the images of a task that could see a secret.
type gallery struct {
	config   *Config
	check    *checker
	budget   int           // steps and references that are still looked at
	looked   map[room]bool // so that what is included often is looked at once
	exposed  bool          // some step sees a secret
	own      []*text       // images of steps that see one
	services []*text       // images beside any step
}

// A room is a blueprint, included by steps that give it a secret or do not.
type room struct {
	of    *blueprint
	given bool
}

// checkImages warns of images that could see a secret and are not named by their
// digest: it is not given to them unless its owner allowed that. What is too large to
// be looked through is judged when it is built.
func (c *Config) checkImages(b *blueprint, k *checker) {
	g := &gallery{config: c, check: k, budget: maxLooked, looked: map[room]bool{}}
	g.visit(b, false)
	if !g.exposed {
		return
	}
	const hint = "name it as NAME@sha256:… (docker buildx imagetools inspect NAME tells it), or have the secret set with --any-image"
	for _, image := range g.own {
		if name, loose := k.loose(image); loose {
			k.report.warnf(image.at, "image %s of a step that sees a secret is not named by its digest", name).Hint = hint
		}
	}
	for _, image := range g.services {
		if name, loose := k.loose(image); loose {
			k.report.warnf(image.at, "image %s of a service in a task that sees a secret is not named by its digest", name).Hint = hint
		}
	}
}

// visit looks at the steps of a blueprint and of those that it includes.
func (g *gallery) visit(b *blueprint, given bool) {
	here := room{b, given}
	if g.looked[here] {
		return
	}
	g.looked[here] = true
	for i := range b.Steps {
		s := &b.Steps[i]
		if s.common == nil {
			continue
		}
		refs := s.references()
		if g.budget -= 1 + len(refs); g.budget < 0 {
			return
		}
		sees := given || g.check.sees(s, refs)
		if s.blueprint != nil {
			for _, name := range s.blueprint.included() {
				if inner, ok := g.config.blueprints[name.Value]; ok {
					g.visit(inner, sees)
				}
			}
			continue
		}
		g.exposed = g.exposed || sees
		if s.run != nil {
			g.look(s.run, sees)
		}
	}
}

// look notes the images of a step.
func (g *gallery) look(s *runStep, sees bool) {
	if sees {
		g.own = append(g.own, &s.Image)
	}
	for i := range s.Services {
		g.services = append(g.services, &s.Services[i].Image)
	}
}

// sees reports whether a step asks for a secret parameter, or mentions one.
func (k *checker) sees(s *step, refs []reference) bool {
	isSecret := func(name string) bool {
		d, ok := k.scope.names[name]
		return ok && d.class == secret
	}
	names := s.common.Secrets.List
	if s.run != nil {
		names = slices.Concat(names, s.run.SecretFiles.List)
	}
	return slices.ContainsFunc(names, func(w word) bool { return isSecret(w.Value) }) ||
		slices.ContainsFunc(refs, func(r reference) bool { return isSecret(r.name) })
}

// loose reports whether an image, if its name is known and can be one, is not named by
// its digest.
func (k *checker) loose(image *text) (name string, yes bool) {
	name, known := k.literal(image)
	return name, known && validImage(name) && !plan.ByDigest(name)
}

package plan

import (
	"slices"

	registry "github.com/distribution/reference"
)

// ByDigest reports whether the name of an image holds its digest
// (name@sha256:…), so that nobody can put another image in its place. What has yet
// to be expanded, or is no name, holds none.
func ByDigest(image string) bool {
	name, err := registry.ParseNormalizedNamed(image)
	if err != nil {
		return false
	}
	_, ok := name.(registry.Digested)
	return ok
}

// An Exposure is a secret that an image can see which is not named by its digest.
type Exposure struct {
	Secret string // name of the parameter
	Image  Text
	At     string // of the step, as file:line:col
}

// Exposures are those of the task, the first for each secret parameter that has no
// value in the plan: of the images of steps that see it and, if there is such a step,
// of all services. Images that a Dockerfile or a Compose file names are not known here.
func (t *Task) Exposures() []Exposure {
	var all []Exposure
	loose := t.looseImages()
	for _, p := range t.Parameters {
		sees := func(s Step) bool { return s.sees(p.Name) }
		if !p.Secret || p.Value != nil || p.Derived != nil || !slices.ContainsFunc(t.Steps, sees) {
			continue
		}
		i := slices.IndexFunc(loose, func(l looseImage) bool { return l.beside || l.of.sees(p.Name) })
		if i >= 0 {
			all = append(all, Exposure{p.Name, loose[i].image, loose[i].of.At})
		}
	}
	return all
}

// A looseImage is an image that is not named by its digest.
type looseImage struct {
	of     *Step
	image  Text
	beside bool // a service's
}

// looseImages are those of the task's steps, as far as they run.
func (t *Task) looseImages() (all []looseImage) {
	add := func(l looseImage) {
		if !ByDigest(string(l.image)) {
			all = append(all, l)
		}
	}
	for i := range t.Steps {
		s := &t.Steps[i]
		if s.Skip || s.Run == nil {
			continue
		}
		if s.Run.Image != "" {
			add(looseImage{of: s, image: s.Run.Image})
		}
		for _, service := range s.Run.Services {
			add(looseImage{of: s, image: service.Image, beside: true})
		}
	}
	return all
}

// sees reports whether the step, if it runs, sees a parameter although it is secret.
func (s *Step) sees(secret string) bool {
	return !s.Skip && (slices.Contains(s.Secrets, secret) || s.Run != nil && slices.Contains(s.Run.SecretFiles, secret))
}

package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/app/web/page"
	"github.com/velocity-ci/velocity/blueprint"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// Offer implements web.Desk.
func (d desk) Offer(ctx context.Context, ref, name string) (page.Offer, error) {
	rev := cmp.Or(ref, "HEAD")
	_, commit, err := d.repo.Resolve(rev)
	if err != nil {
		return page.Offer{}, fmt.Errorf("find %s: %w", rev, err)
	}
	tree, _, err := view{d.repo}.Tree(ctx, planCommit(commit))
	if err != nil {
		return page.Offer{}, err
	}
	config, _, err := blueprint.Load(tree) // what has mistakes is listed, too: once it is chosen it tells them
	if err != nil {
		return page.Offer{}, err
	}
	o := page.Offer{Choices: choicesOf(config), Name: name}
	if len(o.Choices) == 0 {
		return o, nil
	}
	o.Name = cmp.Or(name, o.Choices[0].Name)
	all, err := config.Parameters(o.Name)
	for _, p := range all {
		o.Fields = append(o.Fields, page.Field{
			Name: p.Name, Description: p.Description, Defaults: p.Defaults, All: p.All, Required: p.Required, Options: p.Options,
		})
	}
	return o, err
}

// choicesOf are the pipelines and blueprints, and first of all what is meant by no name.
func choicesOf(config *blueprint.Config) []page.Choice {
	var all []page.Choice
	for _, s := range config.Pipelines() {
		one := page.Choice{Kind: plan.OfPipeline, Name: s.Name, Description: s.Description}
		if s.Name == defaultName {
			all = slices.Insert(all, 0, one)
			continue
		}
		all = append(all, one)
	}
	for _, s := range config.Blueprints() {
		all = append(all, page.Choice{Kind: plan.OfBlueprint, Name: s.Name, Description: s.Description})
	}
	return all
}

// byParameter adds to an error which parameters it is about.
func byParameter(err error) error {
	wrong := map[string]string{}
	var missing *blueprint.MissingError
	if errors.As(err, &missing) {
		for _, m := range missing.Parameters {
			wrong[m.Name] = "needs a value"
		}
	}
	var value *blueprint.ValueError
	if errors.As(err, &value) {
		wrong[value.Name] = value.Why
	}
	if len(wrong) == 0 {
		return err
	}
	return &web.ParametersError{Wrong: wrong, Err: err}
}

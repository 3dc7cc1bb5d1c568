package builder

import (
	"context"
	"slices"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/executor"
)

// buildImage builds the image of step i. Later steps find it under its tags.
func (t *attempt) buildImage(ctx context.Context, i int, image *plan.ImageBuild, state *build.Step) error {
	b, err := t.imageBuild(&t.given.Task.Steps[i], image)
	if err != nil {
		return failed("step %d: %v", i+1, err)
	}
	var built []executor.Image
	t.journal.page(t.masker, func(p *page) {
		b.Stdout, b.Stderr = p.stdout, p.stderr
		built, err = t.builder.Docker.Build(ctx, b)
	})
	state.Images = images(built)
	return because(ctx, err)
}

// imageBuild makes all values of a build step final.
func (t *attempt) imageBuild(step *plan.Step, image *plan.ImageBuild) (executor.ImageBuild, error) {
	x := &expansion{values: t.values, secrets: step.Secrets}
	b := executor.ImageBuild{
		Owner: t.builder.owner(t.given.Attempt), Workspace: t.workspace.Dir,
		Context: x.text("context", image.Context), Dockerfile: x.text("dockerfile", image.Dockerfile),
		Tags: x.texts("tags", image.Tags), Target: x.text("target", image.Target), Args: x.environment(image.Args),
		Secrets: t.buildSecrets(step, image), Platforms: image.Platforms,
		Logins: t.logins, Grace: t.builder.Grace,
	}
	for _, name := range []*string{&b.Context, &b.Dockerfile} {
		if x.err == nil && *name != "" {
			*name, x.err = within(t.workspace.Dir, *name, true)
		}
	}
	return b, x.err
}

// buildSecrets are the secrets that a build step lists for the building itself.
// One that a text of the step mentions was listed for that text.
func (t *attempt) buildSecrets(step *plan.Step, image *plan.ImageBuild) (secrets []executor.Secret) {
	texts := append(slices.Clone(image.Tags), image.Context, image.Dockerfile, image.Target)
	for _, arg := range image.Args {
		texts = append(texts, arg.Value)
	}
	for _, name := range step.Secrets {
		mentions := func(text plan.Text) bool {
			mentioned, _ := text.Names() // expanding it reports the error
			return slices.Contains(mentioned, name)
		}
		if v, ok := t.values[name]; ok && v.secret && !slices.ContainsFunc(texts, mentions) {
			secrets = append(secrets, executor.Secret{Name: name, Value: v.text})
		}
	}
	return secrets
}

// pushImages pushes the tags of step i.
func (t *attempt) pushImages(ctx context.Context, i int, push *plan.ImagePush, state *build.Step) error {
	x := &expansion{values: t.values, secrets: t.given.Task.Steps[i].Secrets}
	p := executor.ImagePush{Tags: x.texts("tags", push.Tags), Logins: t.logins}
	if x.err != nil {
		return failed("step %d: %v", i+1, x.err)
	}
	var pushed []executor.Image
	var err error
	t.journal.page(t.masker, func(page *page) {
		p.Stdout = page.stdout
		pushed, err = t.builder.Docker.Push(ctx, p)
	})
	state.Images = images(pushed)
	return because(ctx, err)
}

func images(made []executor.Image) (all []build.Image) {
	for _, i := range made {
		all = append(all, build.Image{Name: i.Name, Digest: i.Digest})
	}
	return all
}

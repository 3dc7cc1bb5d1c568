package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/image"

	"github.com/velocity-ci/velocity/builder/executor"
)

// Build builds an image from files of the workspace and returns its tags with
// the image's content address. It uses the buildx plugin if there is one, and
// otherwise the engine's own builder, which knows no secrets and one platform.
// The error is an *executor.ImageError, or wraps executor.ErrEngine, or is the
// cause of ctx, which ends the build.
//
// What was built stays on the engine as a cache, as Docker's users expect, and
// belongs to all who use it; containers of the build do not. An image that
// a builder made and that lost its last tag to the new one is removed, so that building
// the same tags again and again takes no more room.
func (e *Executor) Build(ctx context.Context, b executor.ImageBuild) ([]executor.Image, error) {
	tags, err := checkTags(b.Tags)
	if err != nil {
		return nil, err
	}
	if err := findFiles(&b); err != nil {
		return nil, err
	}
	replaced := e.tagged(ctx, tags)
	build := e.buildClassic
	if e.buildx.Path != "" {
		build = e.buildWithPlugin
	}
	id, err := build(ctx, b, tags)
	if err != nil {
		return nil, canceledOr(ctx, err)
	}
	e.removeReplaced(ctx, replaced, id)
	var built []executor.Image
	for _, tag := range tags {
		built = append(built, executor.Image{Name: reference.FamiliarString(tag), Digest: id})
	}
	return built, nil
}

// findFiles fills in where the context and the Dockerfile are, and refuses what
// is not a file or directory of the workspace.
func findFiles(b *executor.ImageBuild) error {
	root, err := os.OpenRoot(b.Workspace)
	if err != nil {
		return broke("open workspace", err)
	}
	defer root.Close()
	b.Context = path.Clean("./" + b.Context)
	info, err := root.Stat(b.Context)
	if err == nil && !info.IsDir() {
		err = errors.New("it is not a directory")
	}
	if err != nil {
		return notInWorkspace("context", b.Context, err)
	}
	if b.Dockerfile == "" {
		b.Dockerfile = path.Join(b.Context, "Dockerfile")
	} else if _, err := root.Lstat(b.Dockerfile); errors.Is(err, fs.ErrNotExist) {
		// In 2019 it counted from the context.
		if below := path.Join(b.Context, b.Dockerfile); b.Context != "." && hasFile(root, below) {
			b.Dockerfile = below
		}
	}
	info, err = root.Lstat(b.Dockerfile)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		return notInWorkspace("dockerfile", b.Dockerfile, err)
	}
	return nil
}

func hasFile(root *os.Root, name string) bool {
	_, err := root.Lstat(name)
	return err == nil
}

func notInWorkspace(what, name string, err error) error {
	return &executor.ImageError{
		What: fmt.Sprintf("%s %q: %v", what, name, err),
		Hint: "name one of the repository's, relative to its root", Err: err,
	}
}

// tagged lists the images of builders that bear one of the tags now.
func (e *Executor) tagged(ctx context.Context, tags []reference.NamedTagged) (ids []string) {
	for _, tag := range tags {
		found, err := e.api.ImageInspect(ctx, tag.String())
		if err == nil && found.Config != nil && found.Config.Labels[labelImage] != "" {
			ids = append(ids, found.ID)
		}
	}
	return ids
}

// removeReplaced removes those of ids that have no tag and no container now. The
// engine refuses to remove others, which is as it should be.
func (e *Executor) removeReplaced(ctx context.Context, ids []string, built string) {
	for _, id := range ids {
		found, err := e.api.ImageInspect(ctx, id)
		if err != nil || id == built || len(found.RepoTags) > 0 {
			continue
		}
		if _, err := e.api.ImageRemove(ctx, id, image.RemoveOptions{PruneChildren: true}); err != nil {
			e.log.Debug("replaced image stays", slog.String("image", id), slog.Any("error", err))
		}
	}
}

// labelImage marks what builders built, for whoever clears up. It says no more
// than that: with the name of an attempt, or of a builder, equal builds would not
// give equal images.
const labelImage = "velocity.image"

func imageLabels() map[string]string { return map[string]string{labelImage: "built"} }

func names(tags []reference.NamedTagged) (all []string) {
	for _, tag := range tags {
		all = append(all, tag.String())
	}
	return all
}

func buildRefused(why string) error {
	return &executor.ImageError{What: "image was not built: " + why}
}

package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"

	"github.com/velocity-ci/velocity/builder/executor"
)

// Push sends images to their registries, in the order of their tags, and returns
// the digests under which they are found there. A registry that fails is tried
// again, one that says no is not. The error is an *executor.ImageError, or wraps
// executor.ErrEngine, or is the cause of ctx.
//
// An engine's images belong to all who use the engine: what is pushed is what
// the tag names there at that moment.
func (e *Executor) Push(ctx context.Context, p executor.ImagePush) ([]executor.Image, error) {
	tags, err := checkTags(p.Tags)
	if err != nil {
		return nil, err
	}
	var pushed []executor.Image
	for _, tag := range tags {
		auth, err := authFor(tag.String(), p.Logins)
		if err != nil {
			return pushed, pushRefused(tag, err.Error())
		}
		var digest string
		err = e.insist(ctx, func() (again bool, err error) {
			digest, err = e.pushOnce(ctx, tag, auth, p.Stdout)
			return err != nil && !refused(err), err
		})
		if err != nil {
			return pushed, canceledOr(ctx, err)
		}
		pushed = append(pushed, executor.Image{Name: reference.FamiliarString(tag), Digest: digest})
	}
	return pushed, nil
}

func (e *Executor) pushOnce(ctx context.Context, tag reference.NamedTagged, auth string, log io.Writer) (digest string, err error) {
	body, err := e.api.ImagePush(ctx, tag.String(), image.PushOptions{RegistryAuth: auth})
	switch {
	case client.IsErrConnectionFailed(err):
		return "", noEngine(err)
	case err != nil:
		return "", pushRefused(tag, err.Error())
	}
	defer body.Close()
	progress := pushProgress{log: log, last: map[string]string{}}
	refusal, err := readMessages(body, progress.take)
	switch {
	case err != nil:
		return "", broke("push image", err)
	case refusal != "":
		_, _ = fmt.Fprintln(log, refusal) // an error of the log ends the step by itself
		return "", pushRefused(tag, refusal)
	}
	return progress.digest, nil
}

// A pushProgress prints what happens with layers, each of its states once and
// without the bars.
type pushProgress struct {
	log    io.Writer
	last   map[string]string // by layer
	digest string
}

func (p *pushProgress) take(m message) error {
	var done struct{ Digest string }
	if len(m.Aux) > 0 && json.Unmarshal(m.Aux, &done) == nil && done.Digest != "" {
		p.digest = done.Digest
	}
	switch m.Status {
	case "", "Preparing", "Waiting", p.last[m.ID]:
		return nil
	}
	p.last[m.ID] = m.Status
	line := m.Status
	if m.ID != "" {
		line = m.ID + ": " + line
	}
	_, err := fmt.Fprintln(p.log, line)
	return err
}

// What registries and the engine say when another try will not be answered
// otherwise. They say it in words alone.
var finalWords = []string{"denied", "unauthorized", "authentication required", "no basic auth credentials", "does not exist"}

// refused reports whether err is an answer rather than a failure to get one.
func refused(err error) bool {
	var asked *executor.ImageError
	if !errors.As(err, &asked) {
		return true // the engine's own trouble
	}
	for _, word := range finalWords {
		if strings.Contains(asked.What, word) {
			return true
		}
	}
	return false
}

func pushRefused(tag reference.NamedTagged, why string) error {
	host := reference.Domain(tag)
	hint := "try again when the registry answers"
	switch {
	case strings.Contains(why, "does not exist"):
		hint = "build it in an earlier step under this tag"
	case strings.Contains(why, "denied"), strings.Contains(why, "unauthorized"),
		strings.Contains(why, "authentication required"), strings.Contains(why, "no basic auth credentials"):
		hint = "log in to " + host + " under docker.registries, as somebody who may push there"
	}
	return &executor.ImageError{
		What: fmt.Sprintf("registry %s did not take %s: %s", host, reference.FamiliarString(tag), why),
		Hint: hint,
	}
}

// checkTags makes tags full references: with a registry and a tag, and without
// a digest, which only what is pushed has.
func checkTags(tags []string) ([]reference.NamedTagged, error) {
	if len(tags) == 0 {
		return nil, &executor.ImageError{What: "the step names no tag", Hint: "give it tags"}
	}
	var all []reference.NamedTagged
	for _, text := range tags {
		named, err := reference.ParseNormalizedNamed(text)
		if err == nil {
			if _, pinned := named.(reference.Digested); pinned {
				err = errors.New("a digest cannot be chosen")
			}
		}
		if err != nil {
			return nil, &executor.ImageError{
				What: fmt.Sprintf("tag %q: %v", text, err),
				Hint: "a tag reads registry.example.com/name:version, its name in lower case", Err: err,
			}
		}
		tagged, ok := reference.TagNameOnly(named).(reference.NamedTagged)
		if !ok {
			return nil, &executor.ImageError{What: fmt.Sprintf("tag %q has no version", text)}
		}
		all = append(all, tagged)
	}
	return all, nil
}

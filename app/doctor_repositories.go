package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/velocity-ci/velocity/blueprint"
	"github.com/velocity-ci/velocity/hooks"
	"github.com/velocity-ci/velocity/storage/git"
)

// repositories looks at those that are served from this machine.
func (d *doctor) repositories(ctx context.Context) []symptom {
	if len(d.conf.Repositories) == 0 {
		return []symptom{skipped("no repository on this machine is configured")}
	}
	var found []symptom
	for _, path := range d.conf.paths() {
		found = append(found, d.repository(ctx, path)...)
	}
	return found
}

// repository looks at one: whether it can be served, and says the right things to git.
func (d *doctor) repository(ctx context.Context, path string) []symptom {
	repo, err := openRepository(ctx, path)
	var owner *git.OwnerError
	switch {
	case errors.As(err, &owner): // says itself what to do
		return []symptom{problem("%s is owned by %s, not by this user", path, owner.Owner).
			mend("if you trust it: git config --global --add safe.directory %s", owner.Path)}
	case errors.Is(err, git.ErrUnsupported):
		return []symptom{problem("%v", err).mend("use a repository with SHA-1 objects and files for refs")}
	case err != nil:
		return []symptom{problem("%s: %v", path, err).mend("see that the path is right, and that the server's user may read it")}
	}
	var found []symptom
	if s, wrong := d.configuration(ctx, repo, path); wrong {
		found = append(found, s)
	}
	if repo.WorkTree() == "" {
		found = append(found, bare(ctx, repo, path)...)
	}
	if len(found) == 0 {
		return []symptom{fine("%s can be served", path)}
	}
	return found
}

// configuration looks whether there is something to build that can be read.
func (d *doctor) configuration(ctx context.Context, repo *git.Repository, path string) (s symptom, wrong bool) {
	config, err := headConfig(ctx, repo)
	var f *failure
	switch {
	case errors.Is(err, errNoCommit):
		return skipped("%s has no commit yet: there is nothing to build", path), true
	case errors.As(err, &f):
		return warning("%s: %v: nothing is built", path, err).mend("%s", f.advice), true
	case err != nil:
		return problem("%s: the configuration cannot be read: %v", path, err).mend("velocity lint --repo %s shows more", path), true
	case config.findings.Err() != nil:
		return problem("%s: the configuration at HEAD has errors: not all is built", path).mend("velocity lint --repo %s --commit HEAD shows them", path), true
	}
	return s, false
}

// bare looks at a repository that people push to.
func bare(ctx context.Context, repo *git.Repository, path string) (found []symptom) {
	open, err := repo.Unprotected(ctx)
	if err != nil {
		return []symptom{problem("%s: %v", path, err).mend("see that git can read its configuration")}
	}
	const how = "velocity hook install %s sets it; so does velocity serve when it starts"
	if len(open) > 0 {
		found = append(found, warning("%s: whoever pushes can forge results: receive.hideRefs does not hide %s", path, strings.Join(open, " and ")).mend(how, path))
	}
	hook := filepath.Join(repo.CommonDir(), "hooks", "post-receive")
	text, err := os.ReadFile(hook)
	info, statErr := os.Stat(hook)
	switch {
	case err != nil || !strings.Contains(string(text), hooks.Mark):
		found = append(found, warning("%s: the post-receive hook is not ours: pushes do not show their build, and are noticed by watching only", path).
			mend("velocity hook install %s", path))
	case statErr != nil || info.Mode()&0o111 == 0:
		found = append(found, problem("%s: git does not run the post-receive hook: it is not executable", path).mend("chmod +x %s", hook))
	}
	return found
}

// errNoCommit is for a repository in which nothing was committed.
var errNoCommit = errors.New("no commit")

// A checkedConfig is a configuration with what is wrong with it.
type checkedConfig struct {
	*blueprint.Config
	findings blueprint.Findings
	from     *origin
}

// headConfig is the configuration at HEAD.
func headConfig(_ context.Context, repo *git.Repository) (c checkedConfig, err error) {
	ref, commit, err := repo.Head()
	if err != nil {
		return c, err
	}
	if commit.IsZero() {
		return c, errNoCommit
	}
	c.from = &origin{repo: repo, ref: ref, commit: commit}
	c.Config, c.findings, err = c.from.config()
	return c, err
}

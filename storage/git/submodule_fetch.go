package git

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
)

// submoduleSettings narrow the fixed options for addresses that come from a
// commit: an https server may not send the fetch on to another one, and a faulty
// history is not taken.
var submoduleSettings = []string{"http.followRedirects=false", "transfer.fsckObjects=true", durable}

// submoduleEnvironment leaves the credentials of this user out, as far as they
// were not made for ssh on this machine: curl's file of passwords is looked for in
// HOME, and an agent may hold keys of a person who started us.
var submoduleEnvironment = []string{"HOME=/dev/null", "SSH_AUTH_SOCK=", "GIT_SSH_COMMAND=ssh -oBatchMode=yes -oIdentityAgent=none"}

// fetchedRefs is before the refs that keep single commits in a cache.
const fetchedRefs = "refs/submodules/"

// FetchCommit brings one commit, without its history, into the bare repository at
// dir, made if absent, and opens that. A server that does not give single commits
// is asked for its branches and tags, so the commit may be missing after it. The
// address is https or ssh, and no password goes there. One fetch into a repository
// may run at a time.
func FetchCommit(ctx context.Context, url, dir string, commit Hash) (*Repository, error) {
	if _, err := checkSource(url, nil); err != nil {
		return nil, fmt.Errorf("fetch commit: %w", err)
	}
	if err := initMirror(dir); err != nil {
		return nil, fmt.Errorf("make cache: %w", err)
	}
	r, err := Open(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("open cache: %w", err)
	}
	single := "+" + commit.String() + ":" + fetchedRefs + commit.String()
	err = r.fetchPublic(ctx, []string{"--depth=1"}, url, []string{single})
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil { // git says no in words only, so any refusal gets a second try
		err = r.fetchPublic(ctx, nil, url, mirrorRefs)
	}
	if err != nil {
		return nil, fmt.Errorf("fetch commit %s: %w", commit, err)
	}
	return r, nil
}

func (r *Repository) fetchPublic(ctx context.Context, options []string, url string, refs []string) error {
	args := append([]string{"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"}, options...)
	args = append(append(args, "--end-of-options", url), refs...)
	_, err := r.run(ctx, command{options: submoduleSettings, env: submoduleEnvironment, args: args})
	return err
}

package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/blob"
	"github.com/velocity-ci/velocity/storage/git"
)

func (c *cli) purgeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "purge BUILD",
		Short: "Remove a finished build for good, such as one that printed a secret",
		Long: `Remove a finished build for good: its record, its logs, its artifacts, its line in
the notes, and every object in the repository that only these led to. No other command rewrites
what is recorded: the notes and the build's blocks of the archive and of logs begin
a new history, since the old one holds the build.

Nothing else may record in the repository meanwhile. A purge that was interrupted
is completed by running it again. It tells what it cannot reach: other copies of the
repository have to be purged by themselves. If something of the build is still in
this repository, its status is 3. Replace the secret first.`,
		Args: arguments(1, 1),
	}
	repo := repoFlag(cmd)
	yes := cmd.Flags().Bool("yes", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.purge(cmd.Context(), *repo, args[0], *yes)
	}
	return cmd
}

func (c *cli) purge(ctx context.Context, path, which string, yes bool) error {
	r, err := c.openRecord(ctx, path)
	if err != nil {
		return err
	}
	id, err := r.store.FindToPurge(ctx, which)
	if err != nil {
		return err
	}
	if err := c.confirmPurge(ctx, r, id, yes); err != nil {
		return err
	}
	ledger, err := c.takeLock(ctx, r.store, holderPurge, nil)
	if err != nil {
		return err
	}
	done, err := ledger.Purge(ctx, id)
	err = errors.Join(err, ledger.Release(context.WithoutCancel(ctx)))
	if errors.Is(err, storage.ErrUnfinished) {
		return (&failure{status: statusProblem, err: err}).hint("velocity cancel %s ends it; purge it then", id)
	}
	if err == nil {
		err = c.purgeArtifacts(ctx, r.repo, id)
	}
	if err != nil {
		return err
	}
	return c.tellPurge(ctx, r, id, done)
}

// purgeArtifacts removes what a build kept.
func (c *cli) purgeArtifacts(ctx context.Context, repo *git.Repository, id build.ID) error {
	store, err := c.openBlobs(ctx, repo, c.env[envBlobs], id.Store, false)
	if errors.Is(err, blob.ErrNone) {
		return nil
	}
	if err == nil {
		err = errors.Join(store.Forget(ctx, []int64{id.Number}), store.Close())
	}
	if err != nil {
		return fmt.Errorf("purge the artifacts of %s: %w", id, err)
	}
	return nil
}

// confirmPurge asks whoever is there; a script has to say so itself.
func (c *cli) confirmPurge(ctx context.Context, r *record, id build.ID, yes bool) error {
	if yes {
		return nil
	}
	in, isFile := c.In.(*os.File)
	if !isFile || !term.IsTerminal(c.In) || !term.IsTerminal(c.Err) {
		return usage("purge build %s: nobody is there to confirm it", id).hint("--yes purges without asking")
	}
	what := "what is left of build " + id.String()
	if b, _, err := r.store.Build(ctx, id); err == nil {
		what = fmt.Sprintf("build %s (%s: %s)", id, b.Name, b.State())
	}
	fmt.Fprintf(c.Err, "This removes %s and the history of the notes for good.\nPurge it (yes or no): ", term.Clean(what))
	answer, err := readAnswer(ctx, in, false)
	if err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	if answer != "yes" {
		return &failure{status: statusProblem, err: fmt.Errorf("build %s was not purged", id)}
	}
	return nil
}

// tellPurge says what is gone, and where copies may be.
func (c *cli) tellPurge(ctx context.Context, r *record, id build.ID, done storage.Purged) error {
	var w strings.Builder
	fmt.Fprintf(&w, "purged build %s: %d objects are gone, %s less on disk\n", id, done.Objects, term.Bytes(max(done.Bytes, 0)))
	for _, ref := range done.Reflogs {
		fmt.Fprintf(&w, "the reflog of %s was deleted: it led to the build\n", ref)
	}
	for _, name := range done.Shared {
		fmt.Fprintf(&w, "STILL HERE: the bytes of log %s are also something else's, such as another build's log\n", name)
	}
	for _, pack := range done.Kept {
		fmt.Fprintf(&w, "STILL HERE: %s holds %d of the objects, and %s; purge again when that is over\n", pack.Path, pack.Objects, pack.Why)
	}
	if done.Borrowed > 0 {
		fmt.Fprintf(&w, "STILL HERE: %d of the objects are in a repository that this one borrows from (objects/info/alternates)\n", done.Borrowed)
	}
	for _, ref := range done.Copies {
		fmt.Fprintf(&w, "STILL HERE: %s, fetched from elsewhere, holds the build; git update-ref -d %s and purge again\n", ref, ref)
	}
	remotes, err := r.repo.ConfiguredRemotes(ctx)
	if err != nil {
		return err
	}
	for _, name := range remotes {
		fmt.Fprintf(&w, "remote %s may have a copy: velocity publish --after-purge replaces what was published there; purge it there as well\n", name)
	}
	for _, path := range outputFiles(folderOf(r.repo), id) {
		fmt.Fprintf(&w, "%s may hold output of the build\n", path)
	}
	fmt.Fprintln(&w, "clones, mirrors, backups, and the caches and logs of builders keep what they have")
	if _, err := fmt.Fprint(c.Out, clean(w.String())); err != nil {
		return err
	}
	if len(done.Shared)+len(done.Kept)+done.Borrowed+len(done.Copies) > 0 {
		return &failure{status: statusProblem} // said above
	}
	return nil
}

// clean makes lines fit for a terminal.
func clean(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(term.Clean(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String()
}

// outputFiles are the files beside git's that may hold what a build printed.
func outputFiles(folder string, id build.ID) (found []string) {
	for _, path := range []string{
		filepath.Join(folder, "running", strconv.FormatInt(id.Number, 10)), filepath.Join(folder, "hook.log"),
	} {
		if info, err := os.Stat(path); err == nil && (info.IsDir() || info.Size() > 0) {
			found = append(found, path)
		}
	}
	return found
}

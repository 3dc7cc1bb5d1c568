package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
)

// Where `velocity init` writes.
const (
	configDir     = ".velocityci"
	blueprintsDir = configDir + "/blueprints"
	pipelinesDir  = configDir + "/pipelines"
)

func (c *cli) initCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a working configuration for the languages found here",
		Long: `Write blueprints and a default pipeline below .velocityci/ for what is found at
the top of the repository: Go, Node, Deno, Python, Rust, CMake, Maven, Gradle,
Ruby, PHP, .NET, else a Makefile. If there is nothing, the folders at the top are
looked into for the same languages; if there is nothing either, an example is
written. The steps use the tools of this machine and no images, and prefer the
project's own wrapper and lock file. Nothing is overwritten.`,
		Args: arguments(0, 0),
	}
	repo := repoFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.initialise(cmd.Context(), *repo) }
	return cmd
}

func (c *cli) initialise(ctx context.Context, path string) error {
	r, err := openRepository(ctx, path)
	if err != nil {
		return err
	}
	if r.WorkTree() == "" {
		return usage("%s has no work tree to write files to", path).hint("run velocity init in a clone of it")
	}
	root, err := os.OpenRoot(r.WorkTree())
	if err != nil {
		return fmt.Errorf("open work tree: %w", err)
	}
	defer root.Close()
	if err := notConfigured(root); err != nil {
		return err
	}
	starters, err := project{files: root.FS()}.starters()
	if err != nil {
		return err
	}
	files := []newFile{{pipelinesDir + "/default.yml", starterPipeline(starters)}}
	for _, s := range starters {
		files = append(files, newFile{blueprintsDir + "/" + s.name + ".yml", s.blueprint()})
	}
	if err := create(root, files); err != nil {
		return err
	}
	for _, s := range starters {
		because := "an example: nothing was recognised here"
		if s.because != "" {
			because = "for " + s.because
		}
		fmt.Fprintf(c.Out, "wrote %s/%s.yml (%s)\n", blueprintsDir, s.name, because)
	}
	_, err = fmt.Fprintf(c.Out, "wrote %s/default.yml\n\nnext: velocity run\n", pipelinesDir)
	return err
}

// notConfigured refuses a repository that has any configuration, valid or not.
func notConfigured(root *os.Root) error {
	for _, name := range []string{".velocity.yml", ".velocity.yaml", blueprintsDir, pipelinesDir} {
		_, err := root.Lstat(name)
		switch {
		case err == nil:
			return usage("%s is here already, and nothing is overwritten", name).hint("velocity list shows what there is")
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("look for a configuration: %w", err)
		}
	}
	return nil
}

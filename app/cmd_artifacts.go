package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/client"
	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/builder/parcel"
	"github.com/velocity-ci/velocity/storage/blob"
)

type artifactsFlags struct {
	from           place
	out, into, url *string
	all, json      *bool
}

func (c *cli) artifactsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "artifacts BUILD [TASK [PATH]]",
		Short: "List the files that the tasks of a build kept, and fetch them",
		Long: `List the files that the tasks of a build kept, and fetch them.

BUILD is as for velocity show, TASK a name or a key (s0t0). With a PATH and
--output one file is fetched, with --all and --directory all files of a task; a
file that is there is replaced. Nothing is written outside of that folder, and
nothing that was fetched is run.

  velocity artifacts 12
  velocity artifacts 12 build dist/app --output app
  velocity artifacts 12 build --all --directory out`,
		Args: arguments(1, 3),
	}
	f := artifactsFlags{
		from: placeFlags(cmd),
		out:  cmd.Flags().StringP("output", "o", "", "write the file at PATH to `FILE`, - for standard output"),
		all:  cmd.Flags().Bool("all", false, "fetch all files of the task"),
		into: cmd.Flags().StringP("directory", "C", "", "`folder` that --all writes to"),
		url:  cmd.Flags().String("blobs-url", "", "`address` of artifacts that are not in the repository, as the server's blobs.url (VELOCITY_BLOBS_URL)"),
		json: jsonFlag(cmd),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return c.artifacts(cmd.Context(), f, args) }
	return cmd
}

func (c *cli) artifacts(ctx context.Context, f artifactsFlags, args []string) error {
	if err := f.check(args); err != nil {
		return err
	}
	r, kept, err := c.shelfAt(ctx, f)
	if err != nil {
		return err
	}
	b, err := r.build(ctx, args[0])
	if err != nil {
		return err
	}
	if len(args) == 1 {
		return c.listArtifacts(ctx, kept, b, "", *f.json)
	}
	t, err := findTask(b, args[1])
	switch {
	case err != nil:
		return err
	case len(args) == 3:
		return explainGone(c.fetchArtifact(ctx, kept, b, t, args[2], *f.out), t)
	case *f.all:
		return explainGone(c.fetchArtifacts(ctx, kept, b, t, *f.into), t)
	}
	return c.listArtifacts(ctx, kept, b, t.Key, *f.json)
}

// check finds what does not go together.
func (f artifactsFlags) check(args []string) error {
	switch {
	case len(args) == 3 && *f.out == "":
		return usage("where to write %s?", args[2]).hint("--output FILE, or --output - for standard output")
	case *f.out != "" && len(args) != 3:
		return usage("--output is for one file").hint("velocity artifacts BUILD TASK PATH --output FILE")
	case *f.all && (len(args) != 2 || *f.into == ""), *f.into != "" && !*f.all:
		return usage("--all and --directory go together, for one task").hint("velocity artifacts BUILD TASK --all --directory DIR")
	}
	return nil
}

// shelfAt opens what the flags name.
func (c *cli) shelfAt(ctx context.Context, f artifactsFlags) (books, web.Shelf, error) {
	r, err := c.books(ctx, f.from)
	if err != nil {
		return nil, nil, err
	}
	switch r := r.(type) {
	case remoteBooks:
		return r, remoteShelf(r), nil
	case *record:
		address := *f.url
		if address == "" {
			address = c.env[envBlobs]
		}
		return r, shelf{func(ctx context.Context, of build.ID) (*blob.Store, error) {
			return c.openBlobs(ctx, r.repo, address, of.Store, false)
		}}, nil
	}
	return nil, nil, fmt.Errorf("%T has no artifacts", r)
}

// explainGone says what it means that nothing is kept.
func explainGone(err error, t *build.Task) error {
	if errors.Is(err, blob.ErrNone) {
		return usage("task %s has no artifacts here: it kept none, or they are not kept any more", t.Name)
	}
	return err
}

// listArtifacts prints what the tasks, or one of them, kept.
func (c *cli) listArtifacts(ctx context.Context, kept web.Shelf, b *build.Build, task string, asJSON bool) error {
	all, err := kept.List(ctx, b)
	if err != nil {
		return err
	}
	list, rows := []api.Artifacts{}, [][]string{{"TASK", "FILE", "SIZE"}}
	for _, of := range all {
		if task != "" && of.Task != task {
			continue
		}
		list = append(list, of)
		for _, file := range of.Files {
			rows = append(rows, []string{term.Clean(of.Name), term.Clean(file.Name), term.Bytes(file.Size)})
		}
	}
	if asJSON {
		return json.NewEncoder(c.Out).Encode(list)
	}
	return c.page().Table(rows)
}

// fetchArtifact writes one file: the whole of it, or none.
func (c *cli) fetchArtifact(ctx context.Context, kept web.Shelf, b *build.Build, t *build.Task, name, to string) (err error) {
	if to == "-" {
		return kept.File(ctx, b, t.Key, name, c.Out)
	}
	f, err := os.CreateTemp(filepath.Dir(to), ".velocity-")
	if err != nil {
		return fmt.Errorf("fetch %s: %w", name, err)
	}
	defer os.Remove(f.Name())
	err = kept.File(ctx, b, t.Key, name, f)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("fetch %s: %w", name, err)
	}
	if err := os.Rename(f.Name(), to); err != nil {
		return fmt.Errorf("fetch %s: %w", name, err)
	}
	return nil
}

// fetchArtifacts unpacks all files of a task.
func (c *cli) fetchArtifacts(ctx context.Context, kept web.Shelf, b *build.Build, t *build.Task, into string) error {
	if err := os.MkdirAll(into, 0o777); err != nil {
		return fmt.Errorf("make a folder for artifacts: %w", err)
	}
	root, err := os.OpenRoot(into)
	if err != nil {
		return fmt.Errorf("open the folder for artifacts: %w", err)
	}
	defer root.Close()
	packed, write := io.Pipe()
	go func() { write.CloseWithError(kept.Pack(ctx, b, t.Key, write)) }()
	files, size, err := parcel.Unpack(ctx, packed, root, parcel.Artifacts, parcel.DefaultLimits())
	packed.CloseWithError(err) // ends the sender, if it has not ended
	if err != nil {
		return fmt.Errorf("fetch artifacts: %w", err)
	}
	fmt.Fprintf(c.Err, "velocity: %d files, %s, in %s\n", files, term.Bytes(size), term.Clean(into))
	return nil
}

// A remoteShelf is a server's.
type remoteShelf struct{ server *client.Client }

// List implements web.Shelf.
func (s remoteShelf) List(ctx context.Context, b *build.Build) ([]api.Artifacts, error) {
	return s.server.Artifacts(ctx, b.ID.String())
}

// Pack implements web.Shelf.
func (s remoteShelf) Pack(ctx context.Context, b *build.Build, task string, w io.Writer) error {
	r, err := s.server.Pack(ctx, b.ID.String(), task)
	return copied(w, r, err)
}

// File implements web.Shelf.
func (s remoteShelf) File(ctx context.Context, b *build.Build, task, name string, w io.Writer) error {
	r, err := s.server.File(ctx, b.ID.String(), task, name)
	return copied(w, r, err)
}

func copied(w io.Writer, r io.ReadCloser, err error) error {
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(w, r)
	return err
}

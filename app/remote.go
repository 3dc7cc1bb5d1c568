package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/client"
	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/builder/spool"
	"github.com/velocity-ci/velocity/storage"
)

// The variables that stand for --server and for the token of velocity login.
const (
	envServer = "VELOCITY_SERVER"
	envToken  = "VELOCITY_TOKEN"
)

// A place is where builds are read and asked for: a repository on this machine,
// or a server.
type place struct {
	cmd        *cobra.Command
	repo       *string
	server     serverFlags
	repository *string
}

// placeFlags adds --repo, --server and --repository.
func placeFlags(cmd *cobra.Command) place {
	return place{
		cmd: cmd, repo: repoFlag(cmd), server: serverFlag(cmd),
		repository: cmd.Flags().String("repository", "", "`name` of the repository on the server, where it has several"),
	}
}

// serverFlags name a server, and who signed its certificate.
type serverFlags struct{ url, ca *string }

// serverFlag adds --server and --ca.
func serverFlag(cmd *cobra.Command) serverFlags {
	return serverFlags{
		url: cmd.Flags().String("server", "", "`URL` of a server to ask instead (VELOCITY_SERVER); velocity login keeps a token for it"),
		ca:  caFlag(cmd, ""),
	}
}

// remote is the server that the flags or VELOCITY_SERVER name, nil if it is a
// repository on this machine. What the flags say counts more than the variable.
func (p place) remote(c *cli) (*client.Client, error) {
	here := p.cmd.Flags().Changed("repo")
	switch {
	case here && *p.server.url != "":
		return nil, usage("--repo and --server exclude each other")
	case here:
		return nil, nil
	}
	server := c.serverNamed(*p.server.url)
	if server == "" {
		if *p.repository != "" {
			return nil, usage("--repository is for --server").hint("--repo PATH names a repository on this machine")
		}
		return nil, nil
	}
	return c.connect(server, *p.server.ca, *p.repository)
}

// serverNamed is the server of a flag or of the variable.
func (c *cli) serverNamed(flag string) string {
	if flag != "" {
		return flag
	}
	return c.env[envServer]
}

// connect is a client of a server, with the token of the variable or of velocity
// login, and with the authority of the flag, the variable or velocity login.
func (c *cli) connect(server, ca, repository string) (*client.Client, error) {
	u, err := client.ParseServer(server)
	if err != nil {
		return nil, usage("%w", err)
	}
	token := c.env[envToken]
	authority, err := c.caNamed(ca)
	if err != nil {
		return nil, err
	}
	if token == "" || authority == "" {
		known, err := c.logins()
		if err != nil && token == "" {
			return nil, err
		}
		token = cmp.Or(token, known.Servers[u.String()])
		authority = cmp.Or(authority, known.Authorities[u.String()])
	}
	if token == "" {
		return nil, usage("there is no token for %s", u).hint("velocity login %s keeps one; the variable %s gives one", u, envToken)
	}
	roots, err := authorities(authority)
	if err != nil {
		return nil, usage("the authority of %s: %w", u, err).hint("velocity login %s --ca FILE keeps another", u)
	}
	return client.Remote(u, roots, token, repository), nil
}

// books are where builds are read: a repository or a server.
type books interface {
	// build finds the build that a person means.
	build(ctx context.Context, which string) (*build.Build, error)
	// log reads the log of an attempt of a task; storage.ErrNoLog if there is none.
	log(ctx context.Context, b *build.Build, t *build.Task, attempt int, withTimes bool) (term.Log, error)
	// live speaks to the server that has unfinished builds in hand.
	live() *client.Client
}

// books opens what the flags name.
func (c *cli) books(ctx context.Context, p place) (books, error) {
	server, err := p.remote(c)
	if err != nil {
		return nil, err
	}
	if server != nil {
		return remoteBooks{server}, nil
	}
	return c.openRecord(ctx, *p.repo)
}

func (r *record) live() *client.Client { return client.Local(folderOf(r.repo)) }

// remoteBooks are those of a server.
type remoteBooks struct{ server *client.Client }

func (r remoteBooks) live() *client.Client { return r.server }

func (r remoteBooks) build(ctx context.Context, which string) (*build.Build, error) {
	data, err := r.server.Build(ctx, which)
	if err != nil {
		return nil, err
	}
	return decodeSent(data)
}

func decodeSent(data json.RawMessage) (*build.Build, error) {
	b, err := storage.DecodeBuild(data)
	if err != nil {
		return nil, fmt.Errorf("read what the server says: %w", err)
	}
	return b, nil
}

func (r remoteBooks) log(ctx context.Context, b *build.Build, t *build.Task, attempt int, withTimes bool) (term.Log, error) {
	text, err := r.server.Log(ctx, b.ID.String(), t.Key, attempt)
	if errors.Is(err, client.ErrNoLog) {
		err = fmt.Errorf("%w: %w", storage.ErrNoLog, err)
	}
	log := term.Log{Text: text}
	if err != nil || !withTimes {
		return log, err
	}
	sent, err := r.server.LogTimes(ctx, b.ID.String(), t.Key, attempt)
	marks := make([]spool.Mark, len(sent))
	for i, m := range sent {
		marks[i] = spool.Mark(m)
	}
	log.Since = since(marks)
	return log, err
}

// remoteBuilds lists a server's builds.
func remoteBuilds(ctx context.Context, server *client.Client, f buildsFlags) ([]*build.Build, error) {
	sent, err := server.Builds(ctx, f.query())
	if err != nil {
		return nil, err
	}
	builds := make([]*build.Build, len(sent))
	for i, data := range sent {
		if builds[i], err = decodeSent(data); err != nil {
			return nil, err
		}
	}
	return builds, nil
}

// officeFlags name who keeps builders and tokens: a server, the one that runs on
// this machine with that state, or this process if none does.
type officeFlags struct {
	server        serverFlags
	state, config *string
}

func officeFlagsOf(cmd *cobra.Command) officeFlags {
	return officeFlags{
		server: serverFlag(cmd),
		state:  cmd.Flags().String("state", "", "`folder` of the state of a server on this machine (VELOCITY_STATE; default as for velocity serve)"),
		config: cmd.Flags().String("config", "", "`file` of the configuration of a server on this machine, which names its state"),
	}
}

// stateOf is the folder that the flags, the variable or the file name, as for
// velocity serve; "" for the default.
func (f officeFlags) stateOf(c *cli) (string, error) {
	if *f.state != "" {
		return *f.state, nil
	}
	conf := serverConfig{State: c.env["VELOCITY_STATE"]}
	if conf.State != "" || *f.config == "" {
		return conf.State, nil
	}
	err := readConfig(*f.config, &conf)
	return conf.State, err
}

// atOffice calls do with a client of whoever keeps builders and tokens.
func (c *cli) atOffice(ctx context.Context, f officeFlags, do func(*client.Client) error) error {
	here := *f.state != "" || *f.config != ""
	if *f.server.url != "" && here {
		return usage("--server is for another machine, --state and --config for this one")
	}
	if server := c.serverNamed(*f.server.url); server != "" && !here {
		s, err := c.connect(server, *f.server.ca, "")
		if err != nil {
			return err
		}
		return do(s)
	}
	state, err := f.stateOf(c)
	if err != nil {
		return err
	}
	local, alone, err := c.localOffice(ctx, state)
	if err != nil {
		return err
	}
	if err := do(local); !errors.Is(err, client.ErrNoServer) {
		return err
	}
	return do(alone)
}

// query is the flags as they are sent to a server.
func (f buildsFlags) query() api.Query {
	q := api.Query{
		Ref: *f.ref, Commit: *f.commit, Name: *f.name, Author: *f.author, Task: *f.task, State: *f.state,
		Since: *f.since, Until: *f.until, Before: *f.before,
	}
	q.Limit = fmt.Sprint(*f.limit)
	return q
}

// flagsOf is the reverse of query.
func flagsOf(q api.Query) (buildsFlags, error) {
	limit := storage.DefaultLimit
	if q.Limit != "" {
		if _, err := fmt.Sscanf(q.Limit, "%d", &limit); err != nil || limit > largestList {
			return buildsFlags{}, usage("limit %.40q is not a number up to %d", q.Limit, largestList)
		}
	}
	return buildsFlags{
		limit: &limit, ref: &q.Ref, commit: &q.Commit, name: &q.Name, author: &q.Author, task: &q.Task, state: &q.State,
		since: &q.Since, until: &q.Until, before: &q.Before,
	}, nil
}

// largestList bounds what one request may list.
const largestList = 1000

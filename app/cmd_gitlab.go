package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/forge/gitlab"
	"github.com/velocity-ci/velocity/app/term"
)

// hooksOfGitLab is where GitLab sends its deliveries.
const hooksOfGitLab = "/hooks/gitlab"

func (c *cli) gitlabCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gitlab",
		Short: "Have GitLab tell a server of what is pushed",
		RunE:  func(cmd *cobra.Command, args []string) error { return unknownSubcommand(cmd, args) },
	}
	cmd.AddCommand(c.gitlabConnectCommand())
	return cmd
}

func (c *cli) gitlabConnectCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "connect PROJECT|--system",
		Short: "Make a project's webhook, or the system hook of a whole GitLab",
		Long: `Make the webhook by which GitLab tells the server of pushes, merge requests and
comments in a project, which is named by its path or its number. With --system it is
the system hook, which tells of all projects and is for administrators of a GitLab.

It is called at the server's url, with the first line of gitlab.secret. If there is
one with that address already it is brought up to date, and switched on if GitLab
has disabled it. The configuration is the one that velocity serve has.`,
		Args: arguments(0, 1),
	}
	from := configFlags(cmd)
	for _, f := range from.flags { // all that velocity serve takes is understood, and this is what matters
		if f.of.key != "url" && !strings.HasPrefix(f.of.key, "gitlab.") {
			cmd.Flags().Lookup(f.of.flag).Hidden = true
		}
	}
	system := cmd.Flags().Bool("system", false, "the system hook, for all projects")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *system == (len(args) == 1) {
			return usage("velocity gitlab connect takes a project or --system, and not both")
		}
		conf := &serverConfig{}
		if err := c.gather(from, conf); err != nil {
			return err
		}
		return c.connectGitLab(cmd.Context(), conf, args)
	}
	return cmd
}

// hookMaker is what is asked of GitLab to connect it.
type hookMaker interface {
	Project(ctx context.Context, id int64) (forge.Repository, error)
	Projects(ctx context.Context) ([]forge.Repository, error)
	ConnectProject(ctx context.Context, project int64, address, secret string, events []gitlab.Events) (gitlab.Hook, error)
	ConnectSystem(ctx context.Context, address, secret string, events []gitlab.Events) (gitlab.Hook, error)
}

// connectGitLab makes the webhook of the project that is named, or the system hook.
func (c *cli) connectGitLab(ctx context.Context, conf *serverConfig, project []string) error {
	address, secret, err := c.hookOfGitLab(conf)
	if err != nil {
		return err
	}
	to, err := c.openGitLab(conf, silent())
	if err != nil {
		return err
	}
	return c.makeHook(ctx, to, address, secret, project)
}

// hookOfGitLab is what a webhook calls, and by which secret it is believed.
func (c *cli) hookOfGitLab(conf *serverConfig) (address, secret string, err error) {
	if err := conf.GitLab.check(); err != nil {
		return "", "", err
	}
	if conf.GitLab.URL == "" {
		return "", "", usage("there is no gitlab.url").hint("--config FILE names the server's configuration")
	}
	u, err := url.Parse(conf.URL)
	if conf.URL == "" || err != nil || u.Host == "" {
		return "", "", usage("there is no url: where shall GitLab reach this server?").hint("url: https://ci.example.com in the configuration, or --url")
	}
	if conf.GitLab.Secret == "" {
		return "", "", usage("gitlab.secret is missing: the webhook gets it as its secret token").
			hint("a signing key is made and shown by GitLab, on the page of the webhook")
	}
	secrets, err := c.secrets("gitlab.secret", conf.GitLab.Secret)
	if err != nil {
		return "", "", err
	}
	return strings.TrimSuffix(conf.URL, "/") + hooksOfGitLab, secrets[0], nil
}

// openGitLab is the client of the GitLab that is configured.
func (c *cli) openGitLab(conf *serverConfig, log *slog.Logger) (*gitlab.GitLab, error) {
	tokens, err := c.secrets("gitlab.token", conf.GitLab.Token)
	if err != nil {
		return nil, err
	}
	if len(tokens) > 1 {
		return nil, usage("gitlab.token: there are two tokens; one is used")
	}
	to, err := gitlab.Open(gitlab.Options{
		URL: conf.GitLab.URL, Token: gitlab.NewToken(tokens[0]), Transport: forgeTransport(), Now: c.now, Log: log, UserAgent: userAgent,
	})
	if err != nil {
		return nil, usage("%w", err)
	}
	return to, nil
}

// makeHook makes the webhook and says so.
func (c *cli) makeHook(ctx context.Context, to hookMaker, address, secret string, project []string) error {
	if len(project) == 0 {
		hook, err := to.ConnectSystem(ctx, address, secret, gitlab.SystemEvents)
		if err != nil {
			return gitlabFailure(err)
		}
		fmt.Fprintf(c.Out, "GitLab calls %s for all projects (system hook %d)\n", term.Clean(hook.URL), hook.ID)
		return nil
	}
	r, err := findProject(ctx, to, project[0])
	if err != nil {
		return gitlabFailure(err)
	}
	hook, err := to.ConnectProject(ctx, r.ID, address, secret, gitlab.ProjectEvents)
	if err != nil {
		return gitlabFailure(err)
	}
	fmt.Fprintf(c.Out, "GitLab calls %s for %s (webhook %d)\n", term.Clean(hook.URL), term.Clean(r.Name), hook.ID)
	return nil
}

// findProject finds a project by its number, or by its path among those that the
// token's user works on.
func findProject(ctx context.Context, in hookMaker, text string) (forge.Repository, error) {
	if id, err := strconv.ParseInt(text, 10, 64); err == nil {
		return in.Project(ctx, id)
	}
	all, err := in.Projects(ctx)
	if err != nil {
		return forge.Repository{}, err
	}
	i := slices.IndexFunc(all, func(r forge.Repository) bool { return strings.EqualFold(r.Name, strings.Trim(text, "/")) })
	if i < 0 {
		return forge.Repository{}, fmt.Errorf("%w: no project %q is one that the token's user is a member of; its number finds others", forge.ErrGone, text)
	}
	return all[i], nil
}

// gitlabFailure tells what somebody has to do about from what may pass.
func gitlabFailure(err error) error {
	f := &failure{status: statusProblem, err: err}
	if errors.Is(err, forge.ErrForbidden) {
		return f.hint("docs/gitlab.md says which rights the token needs")
	}
	return f
}

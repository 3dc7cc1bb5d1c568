package app

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/client"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A githubConfig says which GitHub is served, as which App. Without an App it is
// the one that the set-up page made, if there is one.
type githubConfig struct {
	URL          string       `yaml:"url" default:"https://github.com" help:"address of GitHub, or of an Enterprise Server, as people open it"`
	App          int          `yaml:"app" help:"number of the GitHub App (default: the one that the set-up page made)"`
	Key          string       `yaml:"key" file:"yes" help:"PEM file of the App's private key"`
	Secret       secretSource `yaml:"secret" file:"yes" help:"file with the App's webhook secret, or env:VELOCITY_NAME for a variable with it; two lines while it is changed"`
	OAuth        forgeOAuth   `yaml:"oauth" help:"the App, with which people sign in (default: that of the App that the set-up page made)"`
	Repositories patternList  `yaml:"repositories" help:"patterns of the repositories to build, such as owner/*; can be repeated (default: all that the App is installed for)"`
	Publish      forgePublish `yaml:"publish" help:"GitHub"`
}

// A gitlabConfig says which GitLab is served.
type gitlabConfig struct {
	URL          string       `yaml:"url" help:"address of GitLab, such as https://gitlab.com (default: none)"`
	Token        secretSource `yaml:"token" file:"yes" help:"file with an access token of the scope api, or env:VELOCITY_NAME for a variable with it"`
	Secret       secretSource `yaml:"secret" file:"yes" help:"file with the secret token of the webhooks, or env:VELOCITY_NAME; two lines while it is changed"`
	Signing      secretSource `yaml:"signing" file:"yes" help:"file with the signing key of the webhooks, whsec_…, or env:VELOCITY_NAME; two lines while it is changed"`
	OAuth        forgeOAuth   `yaml:"oauth" help:"an application of GitLab, with which people sign in (default: they do not)"`
	Repositories patternList  `yaml:"repositories" help:"patterns of the projects to build, such as group/**; can be repeated (default: all that have a webhook to this server)"`
	Publish      forgePublish `yaml:"publish" help:"GitLab"`
}

// A forgeOAuth says as which application people are asked who they are.
type forgeOAuth struct {
	ID     string       `yaml:"id" help:"client id of {}"`
	Secret secretSource `yaml:"secret" file:"yes" help:"file with the client secret, or env:VELOCITY_NAME for a variable with it"`
}

// check finds what does not go together.
func (o *forgeOAuth) check(key string) error {
	if (o.ID == "") != (o.Secret == "") {
		return usage("%s.id and %s.secret go together: one of them is missing", key, key)
	}
	return nil
}

// A forgePublish says with what the results of builds are pushed to the forge. It is
// off without a token or a key.
type forgePublish struct {
	Token  secretSource `yaml:"token" file:"yes" help:"file with an access token of your own that may push to {}, or env:VELOCITY_NAME for a variable with it: notes of builds are then pushed there (default: they are not)"`
	Key    string       `yaml:"key" file:"yes" help:"file of an SSH key of your own that may push to {}, instead of a token"`
	Builds bool         `yaml:"builds" help:"push builds to {}, too, without their logs"`
}

// check finds what does not go together.
func (p *forgePublish) check(key string) error {
	switch {
	case p.Token != "" && p.Key != "":
		return usage("%s.token and %s.key exclude each other: one of them pushes", key, key)
	case p.Builds && !p.on():
		return usage("%s.builds is for a server that pushes: %s.token or %s.key is missing", key, key, key)
	}
	return nil
}

// on reports whether anything is pushed.
func (p *forgePublish) on() bool { return p.Token != "" || p.Key != "" }

// check finds what does not go together.
func (g *githubConfig) check() error {
	if err := checkForge("github.url", g.URL, false); err != nil {
		return err
	}
	if g.App == 0 && (g.Key != "" || g.Secret != "") {
		return usage("github.key and github.secret are those of an App: github.app is missing")
	}
	if g.App == 0 && g.OAuth != (forgeOAuth{}) {
		return usage("github.oauth is of an App: github.app is missing").hint("the App that the set-up page makes has its own")
	}
	if g.App != 0 && (g.Key == "" || g.Secret == "") {
		return usage("github.app, github.key and github.secret go together: one of them is missing")
	}
	return errors.Join(g.OAuth.check("github.oauth"), g.Publish.check("github.publish"), g.Repositories.check("github.repositories"))
}

// check finds what does not go together.
func (g *gitlabConfig) check() error {
	if g.URL == "" {
		if g.OAuth != (forgeOAuth{}) || g.Token != "" || g.Secret != "" || g.Signing != "" || len(g.Repositories) > 0 || g.Publish.on() {
			return usage("the keys of gitlab are for a server: gitlab.url is missing").hint("https://gitlab.com is one")
		}
		return nil
	}
	if err := checkForge("gitlab.url", g.URL, true); err != nil {
		return err
	}
	if g.Token == "" {
		return usage("gitlab.token is missing: nothing can be asked of %s without one", g.URL)
	}
	if g.Secret == "" && g.Signing == "" {
		return usage("gitlab.secret or gitlab.signing is missing: webhooks of anybody would be believed")
	}
	return errors.Join(g.OAuth.check("gitlab.oauth"), g.Publish.check("gitlab.publish"), g.Repositories.check("gitlab.repositories"))
}

// checkForge wants an address that tokens may be sent to.
func checkForge(key, address string, below bool) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return usage("%s: %q is no address of a forge: https://HOST is one", key, address)
	case !below && strings.Trim(u.Path, "/") != "":
		return usage("%s: %q has a path: https://HOST is enough", key, address)
	case u.Scheme == "https" || u.Scheme == "http" && client.Loopback(u.Hostname()):
		return nil
	}
	return usage("%s: %q is not https: tokens would be shown on the way", key, address)
}

// A secretSource says where secrets are: in a file, one a line, or in a variable.
type secretSource string

// fromVariable is before the name of a variable. It has to be one of ours: steps on
// this machine do not see those.
const fromVariable = "env:"

// Set implements pflag.Value.
func (s *secretSource) Set(text string) error {
	if name, ok := strings.CutPrefix(text, fromVariable); ok && !strings.HasPrefix(name, "VELOCITY_") {
		return fmt.Errorf("the variable %q would be seen by steps: its name has to begin with VELOCITY_", name)
	}
	*s = secretSource(text)
	return nil
}

// String implements pflag.Value. It is where the secret is, not the secret.
func (s *secretSource) String() string { return string(*s) }

// Type implements pflag.Value.
func (s *secretSource) Type() string { return "file" }

// Lines of a source of secrets.
const (
	maxSecretFile = 64 << 10 // bytes
	maxSecrets    = 2        // the old one and the new one
)

// secrets reads what is at a source, which is that of a key of the configuration:
// one secret, or two. None at all is as good as no check, and refused.
func (c *cli) secrets(key string, s secretSource) ([]string, error) {
	text := c.env[strings.TrimPrefix(string(s), fromVariable)]
	if !strings.HasPrefix(string(s), fromVariable) {
		info, err := os.Stat(string(s))
		if err == nil && info.Size() > maxSecretFile {
			err = errors.New("it is too big for a secret")
		}
		var content []byte
		if err == nil {
			content, err = os.ReadFile(string(s))
		}
		if err != nil {
			return nil, usage("%s: %w", key, err)
		}
		text = string(content)
	}
	found := strings.Fields(text)
	if len(found) == 0 {
		return nil, usage("%s: there is no secret in %s", key, s)
	}
	if len(found) > maxSecrets {
		return nil, usage("%s: there are %d secrets in %s; two are the most", key, len(found), s)
	}
	return found, nil
}

// A patternList picks repositories by the names that the forge has for them.
type patternList []string

// Set adds one.
func (p *patternList) Set(text string) error {
	*p = append(*p, text)
	return nil
}

// String lists them.
func (p *patternList) String() string { return strings.Join(*p, ",") }

// Type implements pflag.Value.
func (p *patternList) Type() string { return "pattern" }

func (p patternList) check(key string) error {
	for _, pattern := range p {
		if !plan.ValidPattern(strings.TrimPrefix(pattern, "!")) {
			return usage("%s: %q is no pattern: owner/name, owner/* or !owner/name are", key, pattern)
		}
	}
	return nil
}

// selects reports whether a repository is to be built. Without patterns all are.
func (p patternList) selects(name string) bool {
	return len(p) == 0 || plan.Patterns(p).Selects(name)
}

// A loginList names people of a forge.
type loginList []string

// Set adds one.
func (l *loginList) Set(text string) error {
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' }) {
		return fmt.Errorf("%q is no login: dependabot[bot] is one", text)
	}
	*l = append(*l, text)
	return nil
}

// String lists them.
func (l *loginList) String() string { return strings.Join(*l, ",") }

// Type implements pflag.Value.
func (l *loginList) Type() string { return "login" }

// An intervalValue is how often something is done; 0 is never.
type intervalValue time.Duration

// shortestInterval is what forges stand of us.
const shortestInterval = 10 * time.Second

// Set implements pflag.Value.
func (v *intervalValue) Set(text string) error {
	every, err := time.ParseDuration(text)
	if err != nil || every != 0 && every < shortestInterval {
		return fmt.Errorf("%q is no interval: 0, 30s, 5m or 1h are, and %s is the shortest", text, shortestInterval)
	}
	*v = intervalValue(every)
	return nil
}

// String implements pflag.Value.
func (v *intervalValue) String() string { return time.Duration(*v).String() }

// Type implements pflag.Value.
func (v *intervalValue) Type() string { return "duration" }

// A decision is true, false, or left to what else is configured: "".
type decision string

// Set implements pflag.Value.
func (d *decision) Set(text string) error {
	if text != "true" && text != "false" {
		return fmt.Errorf("%q is neither true nor false", text)
	}
	*d = decision(text)
	return nil
}

// String implements pflag.Value.
func (d *decision) String() string { return string(*d) }

// Type implements pflag.Value.
func (d *decision) Type() string { return "bool" }

// forged reports whether a forge is configured; app says that there is an App of the
// set-up page.
func (s *serverConfig) forged(app bool) bool { return s.GitHub.App != 0 || app || s.GitLab.URL != "" }

// embeds reports whether this process has a builder. Where a forge is configured it
// does only if somebody asked for it: whoever can open a pull request may then run
// code here.
func (s *serverConfig) embeds(forged bool) bool {
	if s.Builder.Embedded != "" {
		return s.Builder.Embedded == "true"
	}
	return !forged
}

// executes is where steps of the embedded builder run. Next to a forge that is in
// containers only.
func (s *serverConfig) executes(forged, hostByDefault bool) (executors, error) {
	if forged && s.Builder.Executor == "host" {
		return executors{}, usage("builder.executor: host is not for a server with a forge: code of strangers would run as this user").
			hint("without it steps run in containers; a builder that is registered may run them on its own machine")
	}
	return executorsFor(s.Builder.Executor, hostByDefault && !forged)
}

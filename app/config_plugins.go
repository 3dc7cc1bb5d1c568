package app

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/hooks/plugin"
)

// A pluginsConfig says which plugins are told of builds: the server's own, and which
// of those that repositories ask for. docs/plugins.md explains them.
type pluginsConfig struct {
	Allow pluginKinds `yaml:"allow" help:"plugins that repositories may use: slack and webhook are; can be repeated (default: none)"`
	Hosts hostList    `yaml:"hosts" help:"hosts, as HOST or HOST:PORT, that plugins of repositories may connect to although they are not public, also without TLS; can be repeated (default: none)"`
	Run   sitePlugins `yaml:"run" help:"plugins of the server, told of all builds, as USE=ADDRESS; can be repeated (default: none)"`
}

// A sitePlugin is one of the server's own.
type sitePlugin struct {
	Use       string `yaml:"use" help:"slack, webhook or exec"`
	Arguments struct {
		URL     string       `yaml:"url" help:"where slack or webhook sends events"`
		From    secretSource `yaml:"from" file:"yes" help:"file with that address, or env:VELOCITY_NAME for a variable with it, where the address is a secret"`
		Secret  secretSource `yaml:"secret" file:"yes" help:"file with the key that signs what webhook sends, whsec_…, or env:VELOCITY_NAME"`
		Command string       `yaml:"command" file:"yes" help:"program that exec runs"`
	} `yaml:"arguments" help:"what it needs"`
	Events eventList `yaml:"events" help:"that it is told of (default: BUILD_COMPLETE)"`
}

// called is what people know the plugin with this index by.
func (p *sitePlugin) called(i int) string { return fmt.Sprintf("%s (plugins.run[%d])", p.Use, i) }

// events are those that the plugin wants.
func (p *sitePlugin) events() []build.EventType {
	if len(p.Events) == 0 {
		return []build.EventType{plan.DefaultPluginEvent}
	}
	return eventTypes(p.Events)
}

// id is what the progress of the plugin is kept by, as long as it is configured like
// this.
func (p *sitePlugin) id() string {
	a := &p.Arguments
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", []string{p.Use, a.URL, string(a.From), string(a.Secret), a.Command, p.Events.String()}))
	return "site/" + hex.EncodeToString(sum[:8])
}

func eventTypes(names []string) []build.EventType {
	var all []build.EventType
	for _, name := range names {
		all = append(all, build.EventType(name))
	}
	return all
}

// check finds what does not go together.
func (c *pluginsConfig) check() error {
	seen := map[string]bool{}
	for i := range c.Run {
		p := &c.Run[i]
		if err := p.check(); err != nil {
			return usage("plugins.run[%d]: %w", i, err)
		}
		if seen[p.id()] {
			return usage("plugins.run[%d]: the same plugin is there twice", i)
		}
		seen[p.id()] = true
	}
	return nil
}

func (p *sitePlugin) check() error {
	a := &p.Arguments
	switch p.Use {
	case plan.PluginExec:
		if !filepath.IsAbs(a.Command) || a.URL != "" || a.From != "" || a.Secret != "" {
			return errors.New("exec needs the argument command, an absolute path, and nothing else")
		}
		return nil
	case plan.PluginSlack, plan.PluginWebhook:
	default:
		return fmt.Errorf("there is no plugin %q: slack, webhook and exec are", p.Use)
	}
	switch {
	case a.Command != "" || p.Use == plan.PluginSlack && a.Secret != "":
		return fmt.Errorf("%s has no such argument: url or from, and secret for webhook, are its", p.Use)
	case (a.URL == "") == (a.From == ""):
		return fmt.Errorf("%s needs one of the arguments url and from", p.Use)
	case a.URL != "":
		if err := plugin.CheckURL(a.URL, true); err != nil {
			return fmt.Errorf("url: %w", err)
		}
	}
	return nil
}

// sitePlugins is a list that flags and variables fill in short.
type sitePlugins []sitePlugin

// Set adds one: USE=ADDRESS, where the address is a program's path for exec, and for
// the others a URL, or a file or env:VELOCITY_NAME with one.
func (l *sitePlugins) Set(text string) error {
	use, address, ok := strings.Cut(text, "=")
	if !ok {
		return fmt.Errorf("%q is no plugin: webhook=https://chat.example.com/hooks/ci is one", text)
	}
	p := sitePlugin{Use: use}
	switch {
	case use == plan.PluginExec:
		p.Arguments.Command = address
	case strings.Contains(address, "://"):
		p.Arguments.URL = address
	default:
		if err := p.Arguments.From.Set(address); err != nil {
			return err
		}
	}
	*l = append(*l, p)
	return p.check()
}

// String lists them in short.
func (l *sitePlugins) String() string {
	var all []string
	for _, p := range *l {
		a := &p.Arguments
		all = append(all, p.Use+"="+cmp.Or(a.URL, string(a.From), a.Command))
	}
	return strings.Join(all, ",")
}

// Type implements pflag.Value.
func (l *sitePlugins) Type() string { return "plugin" }

// split is the list in a variable: addresses have colons.
func (l *sitePlugins) split(text string) []string { return strings.Fields(text) }

// pluginKinds are plugins that repositories may use.
type pluginKinds []string

// Set adds one.
func (k *pluginKinds) Set(text string) error {
	if !slices.Contains(plan.PluginKinds(), text) {
		return fmt.Errorf("%q is no plugin for repositories: %s are", text, strings.Join(plan.PluginKinds(), " and "))
	}
	*k = append(*k, text)
	return nil
}

// String lists them.
func (k *pluginKinds) String() string { return strings.Join(*k, ",") }

// Type implements pflag.Value.
func (k *pluginKinds) Type() string { return "plugin" }

// eventList names events of builds.
type eventList []string

// Set adds one.
func (l *eventList) Set(text string) error {
	if !slices.Contains(plan.PluginEvents(), text) {
		return fmt.Errorf("there is no event %q: %s are", text, strings.Join(plan.PluginEvents(), ", "))
	}
	*l = append(*l, text)
	return nil
}

// String lists them.
func (l *eventList) String() string { return strings.Join(*l, ",") }

// Type implements pflag.Value.
func (l *eventList) Type() string { return "event" }

// A hostList names hosts, perhaps with a port.
type hostList []string

// Set adds one.
func (l *hostList) Set(text string) error {
	host := text
	if name, port, err := net.SplitHostPort(text); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return fmt.Errorf("%q has no port", text)
		}
		host = name
	}
	if host == "" || strings.ContainsAny(host, "/@ ") {
		return fmt.Errorf("%q is no host: chat.example.com or 10.0.0.7:8065 is one", text)
	}
	*l = append(*l, text)
	return nil
}

// String lists them.
func (l *hostList) String() string { return strings.Join(*l, ",") }

// Type implements pflag.Value.
func (l *hostList) Type() string { return "host" }

// split is the list in a variable: ports have colons.
func (l *hostList) split(text string) []string { return strings.Fields(text) }

// has reports whether an address is at one of the hosts.
func (l hostList) has(u *url.URL) bool {
	return slices.Contains(l, u.Host) || slices.Contains(l, u.Hostname())
}

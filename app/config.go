package app

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/client"
	checkout "github.com/velocity-ci/velocity/builder/source"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/blob"
)

// A serverConfig is what velocity serve is told: by flags, by variables, by a
// file, or by nobody, in this order. docs/server.md explains every key; each is
// also a flag and a variable, see settings.
//
// The tag default is the value that nobody set, flag another name than the key's,
// file says that the value is a path: in the file it counts from the file's folder.
// In a help, {} is that of the struct around it.
type serverConfig struct {
	State  string `yaml:"state" file:"yes" help:"folder of the server's own repository (default $XDG_STATE_HOME/velocity, or ~/.local/state/velocity)"`
	Listen string `yaml:"listen" help:"address to answer the API on, such as :443 or 127.0.0.1:8080 (default: none)"`
	URL    string `yaml:"url" help:"how others reach this server, such as https://ci.example.com; builders that register are told to connect there"`
	TLS    struct {
		Certificate string `yaml:"certificate" file:"yes" help:"PEM file of the certificate and those above it"`
		Key         string `yaml:"key" file:"yes" help:"PEM file of its key"`
	} `yaml:"tls"`
	Proxy        bool         `yaml:"proxy" help:"a proxy before this server speaks TLS: plain HTTP is all right on any address"`
	Repositories repositories `yaml:"repositories" flag:"repo" help:"path of a repository to serve; can be repeated (default .)"`
	Builder      struct {
		Embedded decision `yaml:"embedded" help:"run a builder in this process (default: true, or with a forge false; with a forge it runs steps in containers only)"`
		Capacity int      `yaml:"capacity" flag:"capacity" help:"tasks at the same time (default: as many as there are CPUs)"`
		Executor string   `yaml:"executor" flag:"executor" help:"host runs all steps on this machine, docker none of them"`
		Labels   labels   `yaml:"labels" help:"of the builder in this process, as NAME=VALUE; can be repeated"`
	} `yaml:"builder"`
	GitHub  githubConfig  `yaml:"github"`
	GitLab  gitlabConfig  `yaml:"gitlab"`
	Poll    intervalValue `yaml:"poll" default:"5m0s" help:"how often forges are asked for what a webhook did not tell; 0 is the default"`
	Bots    loginList     `yaml:"bots" help:"logins of bots on the forge that are trusted as people with the same rights are, such as dependabot[bot]; can be repeated (default: none)"`
	Admins  adminList     `yaml:"admins" help:"people who may do here what an admin token may, beside what their forge lets them: github/583231 or gitlab/ann; can be repeated (default: none)"`
	Public  bool          `yaml:"public" help:"let everybody fetch from and look at repositories that are public on their forge, with their builds, notes and logs, without a token"`
	Plugins pluginsConfig `yaml:"plugins"`
	NATS    natsConfig    `yaml:"nats"`
	Metrics struct {
		Listen string `yaml:"listen" help:"address to answer GET /metrics on without a token, such as 127.0.0.1:9464 (default: none; on listen it takes a token)"`
	} `yaml:"metrics"`
	Traces struct {
		Endpoint string `yaml:"endpoint" help:"address of an OTLP receiver that traces of builds are sent to, such as http://127.0.0.1:4318 (default: that of the variables of OpenTelemetry, else none)"`
	} `yaml:"traces"`
	Attempts int  `yaml:"attempts" default:"3" help:"tries of a task that is interrupted again and again"`
	Reuse    bool `yaml:"reuse" default:"true" help:"let an earlier success under the same inputs stand in for a task"`
	Log      struct {
		Format string `yaml:"format" default:"text" help:"text or json"`
	} `yaml:"log"`
	Keep struct {
		Logs   bound `yaml:"logs" help:"logs"`
		Builds bound `yaml:"builds" help:"blocks of builds, with their logs,"`

		Artifacts artifactBound `yaml:"artifacts"`
		Caches    cacheBound    `yaml:"caches"`
	} `yaml:"keep"`
	Blobs struct {
		URL   string    `yaml:"url" help:"where artifacts and caches are: a folder, or s3://BUCKET?region=REGION (default: the folder velocity/blobs in each repository)"`
		Limit sizeValue `yaml:"limit" default:"5000000000" help:"the largest artifacts or cache of one task that are taken, packed: 5G"`
	} `yaml:"blobs"`
	Stop struct {
		Grace graceValue `yaml:"grace" default:"20s" help:"how long tasks that run in this process may take to end when it is told to stop, such as 10m: 0 is not at all"`
	} `yaml:"stop"`
	Publish struct {
		Remote string `yaml:"remote" flag:"publish" help:"send finished builds of served repositories to this remote, as velocity publish does"`
		Logs   bool   `yaml:"logs" help:"send their logs, too"`
	} `yaml:"publish"`
}

// A bound is how much of something is kept.
type bound struct {
	For   ageValue   `yaml:"for" help:"keep {} for so long after the build finished: 30d, 12w, 1y, 36h"`
	Size  sizeValue  `yaml:"size" help:"keep the newest {} of so much in all: 5G"`
	Count countValue `yaml:"count" help:"keep the {} of the newest N builds"`
}

// An artifactBound is how much of artifacts is kept.
type artifactBound struct {
	For  ageValue  `yaml:"for" help:"keep artifacts for so long: 30d, 12w, 1y, 36h"`
	Size sizeValue `yaml:"size" help:"keep the newest artifacts of so much in all, packed: 5G"`
}

// A cacheBound is how much of caches is kept.
type cacheBound struct {
	For  ageValue  `yaml:"for" default:"720h0m0s" help:"keep caches that were used within so long: 30d, 12w, 1y, 36h"`
	Size sizeValue `yaml:"size" help:"keep the caches used last of so much in all, packed: 5G"`
}

// blobs is what keep says of artifacts and caches.
func (s *serverConfig) blobs() blob.Retention {
	if s == nil {
		return blob.Retention{}
	}
	return blob.Retention{
		Artifacts: blob.Bound{Age: time.Duration(s.Keep.Artifacts.For), Bytes: int64(s.Keep.Artifacts.Size)},
		Caches:    blob.Bound{Age: time.Duration(s.Keep.Caches.For), Bytes: int64(s.Keep.Caches.Size)},
	}
}

func (b bound) storage() storage.Bound {
	return storage.Bound{Age: time.Duration(b.For), Bytes: int64(b.Size), Count: int(b.Count)}
}

// retention is what keep says.
func (s *serverConfig) retention() storage.Retention {
	return storage.Retention{Logs: s.Keep.Logs.storage(), Builds: s.Keep.Builds.storage()}
}

// A repositoryConfig is one repository to serve.
type repositoryConfig struct {
	Path      string   `yaml:"path" file:"yes" help:"of the repository"`
	Name      string   `yaml:"name" help:"as users know it (default: the name of its folder)"`
	Weight    int      `yaml:"weight" help:"its share of the builders beside other repositories (default 1)"`
	Limit     int      `yaml:"limit" help:"tasks of it at the same time (default: no limit)"`
	Protected []string `yaml:"protected" help:"patterns of refs beside the default branch that not everybody who can push can move, such as release/*"`
	Reuse     *bool    `yaml:"reuse" help:"whether an earlier success may stand in for a task of it (default: as the server's reuse)"`

	URL        string   `yaml:"url" help:"its https or ssh address, from which relative addresses of submodules count (default: that of its remote origin)"`
	Submodules []string `yaml:"submodules" help:"hosts from which submodules may come, beside that of the address"`
}

// check finds what submodules could not be fetched with.
func (r *repositoryConfig) check() error {
	if r.URL != "" {
		if _, err := checkout.Address(r.URL); err != nil {
			return usage("repositories: %s: url: %w", r.Path, err)
		}
	}
	for _, host := range r.Submodules {
		if err := checkout.CheckHost(host); err != nil {
			return usage("repositories: %s: submodules: %q: %w", r.Path, host, err)
		}
	}
	return nil
}

// repositories is a list that flags and variables fill with paths.
type repositories []repositoryConfig

// Set adds a path.
func (r *repositories) Set(path string) error {
	if path == "" {
		return errors.New("a path is empty")
	}
	*r = append(*r, repositoryConfig{Path: path})
	return nil
}

// String lists the paths.
func (r *repositories) String() string {
	var paths []string
	for _, one := range *r {
		paths = append(paths, one.Path)
	}
	return strings.Join(paths, string(filepath.ListSeparator))
}

// Type implements pflag.Value.
func (r *repositories) Type() string { return "path" }

// paths are the repositories to serve.
func (s *serverConfig) paths() []string {
	var paths []string
	for _, one := range s.Repositories {
		paths = append(paths, one.Path)
	}
	return paths
}

// at is what was said of the repository at a path.
func (s *serverConfig) at(path string) repositoryConfig {
	if s != nil {
		for _, one := range s.Repositories {
			if one.Path == path {
				return one
			}
		}
	}
	return repositoryConfig{}
}

// protects are the patterns of the repository at a path.
func (s *serverConfig) protects(path string) []string {
	if s == nil {
		return nil
	}
	for _, one := range s.Repositories {
		if one.Path == path {
			return one.Protected
		}
	}
	return nil
}

// reuses reports whether successes in the repository at a path may be reused.
func (s *serverConfig) reuses(path string) bool {
	if s == nil {
		return true
	}
	for _, one := range s.Repositories {
		if one.Path == path && one.Reuse != nil {
			return *one.Reuse
		}
	}
	return s.Reuse
}

// labels are what a builder says about itself.
type labels map[string]string

// Set adds one.
func (l *labels) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return fmt.Errorf("%q is no label: NAME=VALUE is one", text)
	}
	if *l == nil {
		*l = labels{}
	}
	(*l)[name] = value
	return nil
}

// String lists them.
func (l *labels) String() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(*l)) {
		all = append(all, name+"="+(*l)[name])
	}
	return strings.Join(all, ",")
}

// Type implements pflag.Value.
func (l *labels) Type() string { return "label" }

// check finds what does not go together.
func (s *serverConfig) check() error {
	if (s.TLS.Certificate == "") != (s.TLS.Key == "") {
		return usage("tls.certificate and tls.key go together: one of them is missing")
	}
	if s.Listen == "" {
		if s.TLS.Certificate != "" || s.Proxy || s.URL != "" {
			return usage("tls, proxy and url are for a server that listens").hint("--listen :443, or listen in the file")
		}
	} else if err := s.checkListen(); err != nil {
		return err
	}
	if err := s.checkObserved(); err != nil {
		return err
	}
	if err := s.NATS.check(s.Listen != ""); err != nil {
		return err
	}
	if err := errors.Join(s.GitHub.check(), s.GitLab.check(), s.Plugins.check()); err != nil {
		return err
	}
	if s.forged(false) && s.Listen == "" {
		return usage("github and gitlab are for a server that listens: webhooks and builders come there").
			hint("--listen :443, or listen in the file; 127.0.0.1:8080 will do without webhooks")
	}
	if err := s.Admins.check(); err != nil {
		return usage("admins: %w", err)
	}
	if (s.GitHub.OAuth.ID != "" || s.GitLab.OAuth.ID != "") && s.URL == "" {
		return usage("people who sign in are sent back to this server: url is missing").hint("url: https://ci.example.com")
	}
	seen := map[string]bool{}
	for _, one := range s.Repositories {
		switch {
		case one.Path == "":
			return usage("repositories: one has no path")
		case one.Weight < 0 || one.Limit < 0:
			return usage("repositories: %s: weight and limit are not below 0", one.Path)
		case one.Name != "" && (seen[one.Name] || !oneSegment(one.Name)):
			return usage("repositories: the name %q is given twice, or cannot be part of an address: use letters, digits, -, _ and .", one.Name)
		}
		seen[one.Name] = true
		if err := one.check(); err != nil {
			return err
		}
	}
	return nil
}

func (s *serverConfig) checkListen() error {
	host, _, err := net.SplitHostPort(s.Listen)
	if err != nil {
		return usage("listen: %q is not HOST:PORT or :PORT", s.Listen)
	}
	if s.TLS.Certificate == "" && !s.Proxy && !client.Loopback(host) {
		return usage("listen: %s can be reached from other machines, and plain HTTP would show them tokens", s.Listen).
			hint("tls.certificate and tls.key name a certificate; proxy: true says that a proxy before this server speaks TLS; 127.0.0.1 is for this machine only")
	}
	if s.URL != "" {
		if _, err := client.ParseServer(s.URL); err != nil {
			return usage("url: %w", err)
		}
	}
	return nil
}

// oneSegment reports whether a name can be one part of a path in an address.
func oneSegment(name string) bool {
	return name != "" && strings.Trim(name, ".") != "" && !strings.ContainsFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-_.", c)
	})
}

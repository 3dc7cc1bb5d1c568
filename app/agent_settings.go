package app

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"
)

// agentSettings are a registered builder's own: what it may use of its machine,
// and for whom. No architect can change them.
type agentSettings struct {
	capacity    int
	labels      map[string]string
	execute     executors
	untrusted   bool
	engineFloor bool // code of strangers is refused on an engine that is too old for it
	reattach    bool
	timeout     time.Duration
	grace       time.Duration // for what runs when the builder is told to end; below 0 it is for ever
	logFormat   string

	memory, pids int64 // of a container
	cpus         float64

	logLimit, workspaceLimit, mirrorLimit, spoolLimit, diskFloor int64 // bytes
}

// usualMirrors bounds what nobody uses of a builder's mirrors and submodules, in
// bytes; the builder within a server has no other bound.
const usualMirrors = 20 << 30

func defaultAgentSettings() *agentSettings {
	return &agentSettings{
		capacity: runtime.NumCPU(), labels: map[string]string{"os": runtime.GOOS, "arch": runtime.GOARCH},
		execute: executors{docker: true}, engineFloor: true, reattach: true, timeout: time.Hour, grace: -1, logFormat: "text",
		logLimit: 64 << 20, mirrorLimit: usualMirrors, spoolLimit: 4 << 30, diskFloor: 2 << 30,
	}
}

// An agentSetting is one key of the builder's configuration: key in the file,
// VELOCITY_BUILDER_KEY in the environment, --key on the command line, each of
// which overrules the one before.
type agentSetting struct {
	key, usage string
	set        func(text string) error
}

// table lists the settings with what reads them.
func (s *agentSettings) table() []agentSetting {
	return []agentSetting{
		{"capacity", "tasks at the same `time` (default: as many as there are CPUs)", func(text string) (err error) {
			s.capacity, err = whole(text, 1, 1000)
			return err
		}},
		{"executor", "`where` steps run: docker, host, or docker,host for steps without an image on this machine (default docker)", s.setExecutor},
		{"untrusted", "take untrusted tasks only (`true` or false)", func(text string) (err error) {
			s.untrusted, err = strconv.ParseBool(text)
			return err
		}},
		{"engine-floor", "refuse untrusted tasks on a Docker engine that is too old for them (`on` or off, default on)", s.setFloor},
		{"reattach", "let a step in a container outlive this process, to be taken up by the next (true or `false`, default true)", func(text string) (err error) {
			s.reattach, err = strconv.ParseBool(text)
			return err
		}},
		{"timeout", "most `time` that an attempt may take (default 1h)", func(text string) (err error) {
			if s.timeout, err = time.ParseDuration(text); err == nil && s.timeout < time.Second {
				err = errors.New("at least a second is needed")
			}
			return err
		}},
		{"grace", "most `time` that attempts may take to end when the builder is told to (default: as long as they take)", func(text string) (err error) {
			if s.grace, err = time.ParseDuration(text); err == nil && s.grace < 0 {
				err = errors.New("want a time such as 10m, or 0")
			}
			return err
		}},
		{"log-format", "`text` or json", func(text string) error { s.logFormat = text; return nil }},
		{"pids", "most processes of a container (`number`, default 4096)", func(text string) error {
			n, err := whole(text, 16, 1<<22)
			s.pids = int64(n)
			return err
		}},
		{"cpus", "most CPUs of a container (`number`, default: no limit)", func(text string) (err error) {
			if s.cpus, err = strconv.ParseFloat(text, 64); err == nil && !(s.cpus > 0 && s.cpus <= 1024) {
				err = errors.New("want a number above 0")
			}
			return err
		}},
		{"memory", "most memory of a container (`size`, default: no limit)", sizeInto(&s.memory, 16<<20)},
		{"log-limit", "most log of a step that is kept (`size`, default 64MiB)", sizeInto(&s.logLimit, 4<<10)},
		{"workspace-limit", "most disk that an attempt's workspace may take (`size`, default: no limit)", sizeInto(&s.workspaceLimit, 1<<20)},
		{"mirror-limit", "most disk for mirrors of repositories that nobody is using (`size`, default 20GiB)", sizeInto(&s.mirrorLimit, 0)},
		{"spool-limit", "logs waiting for the architect at which nothing new is taken (`size`, default 4GiB)", sizeInto(&s.spoolLimit, 1<<20)},
		{"disk-floor", "free disk below which nothing new is taken (`size`, default 2GiB)", sizeInto(&s.diskFloor, 0)},
	}
}

func (s *agentSettings) setExecutor(text string) error {
	switch text {
	case "docker", "host":
		on, err := executorsFor(text, false)
		s.execute = on
		return err
	case "docker,host", "host,docker":
		s.execute = executors{docker: true, host: true}
		return nil
	}
	return errors.New("there are docker, host, and docker,host")
}

func (s *agentSettings) setFloor(text string) error {
	if text != "on" && text != "off" {
		return errors.New("there are on and off")
	}
	s.engineFloor = text == "on"
	return nil
}

// executorNames are how a builder names its executors to others.
func (s *agentSettings) executorNames() []string {
	var names []string
	if s.execute.docker {
		names = append(names, "docker")
	}
	if s.execute.host {
		names = append(names, "host")
	}
	return names
}

// whole reads a number from least to most.
func whole(text string, least, most int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("want a number from %d to %d", least, most)
	}
	return n, nil
}

func sizeInto(to *int64, least int64) func(string) error {
	return func(text string) error {
		n, err := units.RAMInBytes(text)
		if err != nil || n < least {
			return fmt.Errorf("want a size such as 2GiB, at least %s", units.BytesSize(float64(least)))
		}
		*to = n
		return nil
	}
}

// labelText is what a label's name and value may be made of, each of at most
// maxLabelText bytes.
var labelText = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$`)

const maxLabelText = 63

func (s *agentSettings) setLabel(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok || max(len(name), len(value)) > maxLabelText || !labelText.MatchString(name) || !labelText.MatchString(value) {
		return errors.New("want NAME=VALUE of letters, digits, dots, slashes, underscores and dashes, each at most 63")
	}
	s.labels[name] = value
	return nil
}

// agentFlags are the command line's part of the settings.
type agentFlags struct {
	config *string
	state  *string
	labels *[]string
	given  map[string]*string
}

func (c *cli) agentFlags(cmd *cobra.Command) agentFlags {
	f := agentFlags{
		config: cmd.Flags().String("config", "", "configuration `file` (default builder.yml in the state folder, if it is there)"),
		state:  c.agentStateFlag(cmd),
		labels: cmd.Flags().StringArray("label", nil, "`NAME=VALUE` that tasks can ask for; can be repeated"),
		given:  map[string]*string{},
	}
	for _, s := range defaultAgentSettings().table() {
		f.given[s.key] = cmd.Flags().String(s.key, "", s.usage)
		if s.key == "untrusted" {
			cmd.Flags().Lookup(s.key).NoOptDefVal = "true"
		}
	}
	return f
}

// agentSettings reads the file, then the environment, then the flags.
func (c *cli) agentSettings(f agentFlags) (*agentSettings, error) {
	s := defaultAgentSettings()
	if err := c.agentFile(s, f); err != nil {
		return nil, err
	}
	for _, one := range s.table() {
		name := "VELOCITY_BUILDER_" + strings.ToUpper(strings.ReplaceAll(one.key, "-", "_"))
		if text := c.env[name]; text != "" {
			if err := one.set(text); err != nil {
				return nil, usage("%s=%s: %v", name, text, err)
			}
		}
		if text := *f.given[one.key]; text != "" {
			if err := one.set(text); err != nil {
				return nil, usage("--%s %s: %v", one.key, text, err)
			}
		}
	}
	for _, text := range *f.labels {
		if err := s.setLabel(text); err != nil {
			return nil, usage("--label %s: %v", text, err)
		}
	}
	if s.untrusted && s.execute.host {
		return nil, usage("untrusted tasks never run on the machine itself").hint("leave --executor out, or take trusted tasks")
	}
	return s, nil
}

// agentFile reads the configuration file.
func (c *cli) agentFile(s *agentSettings, f agentFlags) error {
	path := *f.config
	if path == "" {
		path = filepath.Join(*f.state, "builder.yml")
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && *f.config == "" {
		return nil
	}
	if err != nil {
		return usage("read the builder's configuration: %w", err)
	}
	if err := s.parse(data); err != nil {
		return usage("%s:%w", path, err)
	}
	return nil
}

// parse reads a configuration file. Its errors begin with line and column.
func (s *agentSettings) parse(data []byte) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return fmt.Errorf("1:1: %w", err)
	}
	if doc.Kind == 0 {
		return nil // empty
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return at(root, errors.New("want keys and values"))
	}
	known := map[string]func(*yaml.Node) error{"labels": s.parseLabels}
	for _, one := range s.table() {
		known[camel(one.key)] = func(v *yaml.Node) error { return scalar(v, one.set) }
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		read, ok := known[key.Value]
		switch {
		case !ok:
			return at(key, fmt.Errorf("there is no setting %q; there are %s", key.Value, strings.Join(slices.Sorted(maps.Keys(known)), ", ")))
		case seen[key.Value]:
			return at(key, fmt.Errorf("%s is set twice", key.Value))
		}
		seen[key.Value] = true
		if err := read(value); err != nil {
			return err
		}
	}
	return nil
}

func (s *agentSettings) parseLabels(v *yaml.Node) error {
	if v.Kind != yaml.MappingNode {
		return at(v, errors.New("labels: want names and values"))
	}
	for i := 0; i+1 < len(v.Content); i += 2 {
		name := v.Content[i]
		if err := scalar(v.Content[i+1], func(text string) error { return s.setLabel(name.Value + "=" + text) }); err != nil {
			return err
		}
	}
	return nil
}

func scalar(v *yaml.Node, set func(string) error) error {
	if v.Kind != yaml.ScalarNode {
		return at(v, errors.New("want one value"))
	}
	if err := set(v.Value); err != nil {
		return at(v, fmt.Errorf("%q: %w", v.Value, err))
	}
	return nil
}

// at puts the place before an error.
func at(n *yaml.Node, err error) error { return fmt.Errorf("%d:%d: %w", n.Line, n.Column, err) }

// camel is a flag's name as the file has it: logLimit for log-limit.
func camel(flag string) string {
	words := strings.Split(flag, "-")
	for i, w := range words[1:] {
		words[i+1] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, "")
}

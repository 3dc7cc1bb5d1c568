package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/architect/dispatch"
)

// settingsOfBuilder reads settings as a command would.
func settingsOfBuilder(t *testing.T, file string, env map[string]string, args ...string) (*agentSettings, error) {
	t.Helper()
	c := &cli{env: map[string]string{"VELOCITY_BUILDER_STATE": t.TempDir()}}
	for name, value := range env {
		c.env[name] = value
	}
	cmd := &cobra.Command{}
	f := c.agentFlags(cmd)
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	if file != "" {
		if err := os.WriteFile(filepath.Join(*f.state, "builder.yml"), []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c.agentSettings(f)
}

func TestBuilderSettings(t *testing.T) {
	s, err := settingsOfBuilder(t,
		"capacity: 3\ntimeout: 30m\nmemory: 1GiB\nlabels: {gpu: \"true\", pool: a}\nexecutor: docker,host\n",
		map[string]string{"VELOCITY_BUILDER_TIMEOUT": "20m", "VELOCITY_BUILDER_DISK_FLOOR": "1GiB"},
		"--disk-floor", "512MiB", "--grace", "90s", "--label", "pool=b")
	if err != nil {
		t.Fatal(err)
	}
	if s.capacity != 3 || s.timeout != 20*time.Minute || s.memory != 1<<30 || s.diskFloor != 512<<20 || s.grace != 90*time.Second {
		t.Errorf("%+v", s)
	}
	if s.labels["gpu"] != "true" || s.labels["pool"] != "b" || s.labels["os"] == "" || s.labels["arch"] == "" {
		t.Errorf("labels %v", s.labels)
	}
	if !s.execute.host || !s.execute.docker || s.execute.forImages {
		t.Errorf("executors %+v", s.execute)
	}
}

func TestBuilderSettingsRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		env  map[string]string
		args []string
		want string
	}{
		"unknown key":       {file: "capacity: 1\ncapasity: 2\n", want: `builder.yml:2:1: there is no setting "capasity"; there are capacity, `},
		"twice":             {file: "pids: 20\npids: 20\n", want: "builder.yml:2:1: pids is set twice"},
		"not a size":        {file: "memory: lots\n", want: `builder.yml:1:9: "lots": want a size`},
		"a list":            {file: "[capacity]\n", want: "builder.yml:1:1: want keys"},
		"label":             {file: "labels: {a: b c}\n", want: "builder.yml:1:13: "},
		"in environment":    {env: map[string]string{"VELOCITY_BUILDER_CAPACITY": "0"}, want: "VELOCITY_BUILDER_CAPACITY=0: want a number from 1"},
		"as a flag":         {args: []string{"--executor", "vm"}, want: "--executor vm: there are docker, host"},
		"untrusted on host": {args: []string{"--executor", "host", "--untrusted"}, want: "never run on the machine"},
		"no time":           {args: []string{"--grace", "-1s"}, want: "--grace -1s: want a time such as 10m, or 0"},
		"file is not there": {args: []string{"--config", "/nowhere/builder.yml"}, want: "read the builder's configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := settingsOfBuilder(t, c.file, c.env, c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v, %v; want %q", s, err, c.want)
			}
		})
	}
}

// Every setting stands in docs/builders.md.
func TestBuilderSettingsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "builders.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range defaultAgentSettings().table() {
		if !bytes.Contains(text, []byte("`--"+s.key)) {
			t.Errorf("docs/builders.md does not tell of --%s", s.key)
		}
	}
}

// Settings read twice from the same bytes are the same, and no bytes panic.
func FuzzBuilderSettings(f *testing.F) {
	f.Add([]byte("capacity: 3\nlabels: {a: b}\n"))
	f.Add([]byte("{logLimit: 1MiB}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := defaultAgentSettings()
		if err := s.parse(data); err != nil {
			return
		}
		if s.capacity < 1 || s.logLimit < 0 || s.timeout <= 0 {
			t.Errorf("%q gives %+v", data, s)
		}
	})
}

func TestSourceOfAnAssignment(t *testing.T) {
	cr := &credential{Server: "https://ci.example.org/velocity", NATS: "/nats"}
	got, err := cr.source(dispatch.Assignment{Repository: "team/a b"})
	if want := "https://ci.example.org/velocity/git/team/a%20b"; got != want || err != nil {
		t.Errorf("source = %s, %v; want %s", got, err, want)
	}
	for _, name := range []string{"", "..", "a/../b", "/a", `a\b`} {
		if got, err := cr.source(dispatch.Assignment{Repository: name}); err == nil {
			t.Errorf("source of %q = %s", name, got)
		}
	}
	if got, err := cr.natsURL(); got != "wss://ci.example.org/velocity/nats" || err != nil {
		t.Errorf("natsURL = %s, %v", got, err)
	}
}

// A server that knows how it is reached tells builders so in whole. That is no
// cluster: the authority that the builder was given for the server counts.
func TestWhereABuilderMeetsItsArchitect(t *testing.T) {
	for _, c := range []struct {
		told, address string
		cluster       bool
	}{
		{natsAddress(""), "wss://ci.example.org/velocity/nats", false},
		{natsAddress("https://ci.example.com/"), "wss://ci.example.com/nats", false},
		{natsAddress("http://localhost:8080"), "ws://localhost:8080/nats", false},
		{"tls://n1.example.com,tls://n2.example.com", "tls://n1.example.com,tls://n2.example.com", true},
	} {
		cr := &credential{Server: "https://ci.example.org/velocity", NATS: c.told}
		address, err := cr.natsURL()
		if err != nil || address != c.address || cr.onCluster() != c.cluster {
			t.Errorf("natsURL() of a builder that was told %q = %q, %v, onCluster %t; want %q, %t",
				c.told, address, err, cr.onCluster(), c.address, c.cluster)
		}
	}
}

package docker

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/builder/executor"
)

// Whatever a step asks for, its container has no more rights than any other's.
func TestNoCommandWidensTheContainer(t *testing.T) {
	workspace, shared := t.TempDir(), t.TempDir()
	e := &Executor{builder: "b", limits: Limits{PIDs: 64, Memory: 1 << 30, CPUs: 1.5}}
	word := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"host", "none", "container:x", "--privileged", "/var/run/docker.sock", "/", "..", "root", "bridge",
	}))
	rapid.Check(t, func(rt *rapid.T) {
		cmd := executor.Command{
			Argv: rapid.SliceOf(word).Draw(rt, "argv"), Env: rapid.SliceOf(word).Draw(rt, "env"),
			Workspace: workspace, Dir: word.Draw(rt, "dir"), ReadOnly: []string{shared},
			Image: word.Draw(rt, "image"), MountPoint: "/" + word.Draw(rt, "mountPoint"),
			User: word.Draw(rt, "user"), Network: word.Draw(rt, "network"),
		}
		s, err := e.newSpec(t.Context(), cmd)
		if err != nil {
			return
		}
		got, network := *s.host, s.host.NetworkMode
		if network.IsHost() || network.IsContainer() {
			rt.Fatalf("network = %q", network)
		}
		target := got.Mounts[0].Target
		if target == "/" || !filepath.IsAbs(target) {
			rt.Fatalf("workspace at %q", target)
		}
		want := container.HostConfig{
			NetworkMode: network,
			CapDrop:     []string{"NET_RAW", "MKNOD"},
			SecurityOpt: []string{"no-new-privileges"},
			LogConfig:   container.LogConfig{Type: "none"},
			Init:        new(true),
			Resources: container.Resources{
				PidsLimit: new(int64(64)), Memory: 1 << 30, MemorySwap: 1 << 30, NanoCPUs: 1_500_000_000,
			},
			Mounts: []mount.Mount{
				{Type: mount.TypeBind, Source: workspace, Target: target},
				{Type: mount.TypeBind, Source: shared, Target: shared, ReadOnly: true},
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("host configuration (-want +got):\n%s", diff)
		}
	})
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*executor.Command)
		says   string
	}{
		"host network":            {func(c *executor.Command) { c.Network = "host" }, `"host"`},
		"another's network":       {func(c *executor.Command) { c.Network = "container:abc" }, `"container:abc"`},
		"image replaced":          {func(c *executor.Command) { c.MountPoint = "/x/.." }, `"/x/.."`},
		"kernel files replaced":   {func(c *executor.Command) { c.MountPoint = "//proc/self" }, `/proc`},
		"devices replaced":        {func(c *executor.Command) { c.MountPoint = "/dev" }, `"/dev"`},
		"relative mount point":    {func(c *executor.Command) { c.MountPoint = "w" }, `"w"`},
		"no mount point":          {func(c *executor.Command) { c.MountPoint = "" }, `""`},
		"directory outside":       {func(c *executor.Command) { c.Dir = "a/../../b" }, `outside`},
		"absolute directory":      {func(c *executor.Command) { c.Dir = "/etc" }, `outside`},
		"directory absent":        {func(c *executor.Command) { c.Dir = "nope" }, `does not exist`},
		"whole machine read-only": {func(c *executor.Command) { c.ReadOnly = []string{"/"} }, `"/"`},
		"unclean directory":       {func(c *executor.Command) { c.ReadOnly = []string{"/srv/../etc"} }, `/srv/../etc`},
		"cut short by NUL":        {func(c *executor.Command) { c.Env = []string{"A=1\x002"} }, `environment variable "A"`},
		"altered by JSON":         {func(c *executor.Command) { c.Env = []string{"A=\xff"} }, `environment variable "A"`},
		"altered argument":        {func(c *executor.Command) { c.Argv = []string{"x", "\xc3"} }, `argument`},
		"nothing to run":          {func(c *executor.Command) { c.Argv = nil }, `no command`},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := executor.Command{Argv: []string{"true"}, Workspace: t.TempDir(), MountPoint: "/w"}
			if err := check(cmd); err != nil {
				t.Fatalf("check before the change: %v", err)
			}
			c.change(&cmd)
			wantStartError(t, check(cmd), c.says)
		})
	}
}

// What the kernel says inside, rather than what we asked for.
func TestInsideTheContainer(t *testing.T) {
	e := newExecutor(t, Limits{})
	got := mustRun(t, e, shell(t, `
		grep NoNewPrivs /proc/self/status
		grep CapBnd /proc/self/status
		mknod /tmp/disk b 254 0 2>/dev/null && echo made a device
		mount -t tmpfs none /tmp 2>/dev/null && echo mounted
		cat /proc/sysrq-trigger >/dev/null 2>&1 && echo read sysrq
		echo c 2>/dev/null >/proc/sysrq-trigger && echo wrote sysrq
		test -S /var/run/docker.sock && echo socket
		ls -A /velocity_ci
		readlink /proc/1/exe
	`)).Stdout
	// Docker's default a80425fb without MKNOD (1<<27) and NET_RAW (1<<13).
	want := "NoNewPrivs:\t1\nCapBnd:\t00000000a00405fb\n/sbin/docker-init\n"
	if got != want {
		t.Errorf("inside: %q, want %q", got, want)
	}
}

func TestForkBombIsContained(t *testing.T) {
	e := newExecutor(t, Limits{PIDs: 40})
	got := mustRun(t, e, shell(t, "i=0; while [ $i -lt 100 ]; do sleep 1000 & i=$((i+1)); done"))
	if got.Exit == 0 || !strings.Contains(got.Stderr, "fork") {
		t.Errorf("exit = %d, stderr = %q, want it to fail to fork", got.Exit, got.Stderr)
	}
}

func TestCPUsAreLimited(t *testing.T) {
	e := newExecutor(t, Limits{CPUs: 1.5})
	got := mustRun(t, e, shell(t, `cd /sys/fs/cgroup
		if [ -e cpu.max ]; then cat cpu.max; else cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us | xargs; fi`))
	if got.Stdout != "150000 100000\n" {
		t.Errorf("its share of a period of CPU time is %q, want 1.5", got.Stdout)
	}
}

// On a busy machine the engine may hear of the end before it hears why, and then
// never says it: a few tries are enough for one that does.
func TestOutOfMemoryIsSaid(t *testing.T) {
	e := newExecutor(t, Limits{Memory: 32 << 20})
	said := ""
	for range 5 {
		got := mustRun(t, e, shell(t, "tail /dev/zero"))
		if got.Exit != 137 {
			t.Fatalf("exit = %d, want 137", got.Exit)
		}
		if said = got.Stderr; strings.Contains(said, "[velocity: out of memory: the step reached its limit of 32MiB]\n") {
			return
		}
	}
	t.Errorf("stderr = %q, want the reason", said)
}

package compose_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/builder/docker"
	"github.com/velocity-ci/velocity/builder/executor"
)

// several is a project of everything that a project may be: a database that is
// healthy after a while, a job that runs first, and tests that count.
const several = `
services:
  db:
    image: IMAGE
    container_name: the-database
    command: sh -c "echo db up; touch /tmp-ready; cat /seed/rows; sleep 600"
    healthcheck: {test: [CMD, test, -e, /tmp-ready], interval: 1s, retries: 60}
    volumes: ["./seed:/seed:ro", "data:/data"]
    ports: ["80"]
  job:
    image: IMAGE
    command: sh -c "echo from job >/data/x; echo job done >&2"
    volumes: ["data:/data"]
    depends_on: {db: {condition: service_healthy}}
  tests:
    build: {context: ., args: [WHO=me]}
    environment: [TOKEN, "LITERAL=$$x"]
    secrets: [word]
    networks: [default, inner]
    depends_on: {job: {condition: service_completed_successfully}}
    volumes: ["data:/data", "./out:/out"]
    command: sh -c 'cat /data/x /who /run/secrets/word; echo "$$TOKEN $$LITERAL"; touch /out/made; exit 7'
volumes: {data: {}}
networks: {inner: {internal: true}}
secrets: {word: {file: ./word}}
`

// A project runs as Compose runs it; the exit status is that of the service that
// counts; each container speaks for itself; and nothing is left.
func TestProject(t *testing.T) {
	b := newBench(t, "compose.yml", several, "seed/rows", "row 1\n", "word", "open sesame\n", "Dockerfile", "FROM IMAGE\nARG WHO\nRUN echo built for $WHO >/who\n")
	const token = `a "quoted" $word\n'\`
	b.mustRun(t, 7, func(p *executor.Project) { p.Service, p.Env = "tests", []string{"TOKEN=" + token + "\nline 2"} })
	for name, want := range map[string]string{
		"db":    "db up\nrow 1\n",
		"job":   "job done\n",
		"tests": "from job\nbuilt for me\nopen sesame\n" + token + "\nline 2 $x\n",
	} {
		if got := b.said(name); got != want {
			t.Errorf("%s said %q; want %q", name, got, want)
		}
	}
	if _, err := os.Stat(filepath.Join(b.workspace, "out/made")); err != nil {
		t.Error(err)
	}
	if strings.Contains(b.own.String(), "from job") {
		t.Errorf("the project's own lines are %s", &b.own)
	}
}

// Without a service that counts, any that fails ends the project, and it is over
// once all have ended.
func TestEveryServiceCounts(t *testing.T) {
	b := newBench(t,
		"compose.yml", "services: {one: {image: IMAGE, command: sleep 600, init: true}, two: {image: IMAGE, command: sh -c 'exit 5'}}",
		"fine.yml", "services: {one: {image: IMAGE, command: 'true'}, two: {image: IMAGE, scale: 2, command: sh -c 'echo here'}}")
	b.mustRun(t, 5)
	b.mustRun(t, 0, func(p *executor.Project) { p.File = "fine.yml" })
	if b.said("two-1") != "here\n" || b.said("two-2") != "here\n" {
		t.Errorf("said %q and %q", b.said("two-1"), b.said("two-2"))
	}
}

// A project that cannot start fails with what the plugin says, and one that waits
// for a service that fails does not wait.
func TestProjectFails(t *testing.T) {
	b := newBench(t,
		"compose.yml", "services: {a: {image: IMAGE, command: sh -c 'exit 3'}, b: {image: IMAGE, command: 'true', depends_on: {a: {condition: service_completed_successfully}}}}")
	b.mustRun(t, 1, func(p *executor.Project) { p.Service = "b" })
	if !strings.Contains(b.own.String(), "didn't complete successfully: exit 3") {
		t.Errorf("the plugin said %s", &b.own)
	}
	_, err := b.Run(t.Context(), b.project(func(p *executor.Project) { p.Service = "c" }))
	if start := new(executor.StartError); !errors.As(err, &start) || !strings.HasPrefix(start.What, `service "c" is not in compose.yml`) {
		t.Errorf("a service that is not there: %v", err)
	}
}

// What is canceled is gone when Run returns, whatever its services think of it.
func TestCanceled(t *testing.T) {
	b := newBench(t, "compose.yml", `services: {a: {image: IMAGE, volumes: ["vol:/v", /anonymous], command: "sh -c 'trap : TERM; echo here; while :; do sleep 1; done'"}}
volumes: {vol: }`)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("canceled by ada")
	done := make(chan error, 1)
	go func() {
		_, err := b.Run(ctx, b.project())
		done <- err
	}()
	b.await(t, "a", "here", done)
	cancel(why)
	if err := <-done; !errors.Is(err, why) {
		t.Errorf("Run: %v", err)
	}
	if left := b.left(t); left != "" {
		t.Errorf("left on the engine:\n%s", left)
	}
}

// A dyingEngine cannot remove anything, as if the builder had been killed.
type dyingEngine struct{ *docker.Executor }

func (dyingEngine) RemoveAll(context.Context, executor.Owner) error { return errors.New("killed") }

// What a builder that was killed left of a project is removed by the next one, and
// not before the attempt is over.
func TestReaped(t *testing.T) {
	b := newBench(t,
		"compose.yml", "services: {a: {build: ., volumes: ['vol:/v', /anonymous], command: sh -c 'exit 4'}}\nvolumes: {vol: }", "Dockerfile", "FROM IMAGE\nRUN echo x >/x\n")
	engine := b.Engine.(*docker.Executor)
	b.Engine = dyingEngine{engine}
	if r, err := b.Run(t.Context(), b.project()); err != nil || r.Exit != 4 {
		t.Fatalf("Run = %+v, %v; the plugin said:\n%s", r, err, &b.own)
	}
	for _, what := range []string{"container", "network", "volume", "image"} {
		if left := b.left(t); !strings.Contains(left, what) {
			t.Errorf("no %s is left to be reaped: %s", what, left)
		}
	}
	if n, err := engine.Reap(t.Context(), func(owner string) bool { return owner == b.owner.String() }); err != nil || n != 0 {
		t.Errorf("Reap of what runs = %d, %v", n, err)
	}
	if n, err := engine.Reap(t.Context(), func(string) bool { return false }); err != nil || n < 4 {
		t.Errorf("Reap = %d, %v; want a container, a network, a volume and an image", n, err)
	}
}

// A few hostile projects, through the real plugin: nothing of them starts, and
// nothing of this machine is told.
func TestHostileProjects(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret.env")
	if err := os.WriteFile(outside, []byte("CANARY=canary-7Hq2\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ file, want string }{
		"privileged": {"services: {a: {image: IMAGE, privileged: true}}", "services.a.privileged: a service gets no privileges"},
		"socket":     {"services: {a: {image: IMAGE, volumes: ['/var/run/docker.sock:/s']}}", "services.a.volumes[0].source: /var/run/docker.sock: it leads out of the workspace"},
		"expansion":  {"services: {a: {image: IMAGE, volumes: ['${ROOT}etc:/e']}}", "services.a.volumes[0].source: /etc: it leads out of the workspace"},
		"link":       {"services: {a: {image: IMAGE, volumes: ['./link:/e']}}", "it leads out of the workspace"},
		"host":       {"services: {a: {image: IMAGE, network_mode: host}}", "services.a.network_mode: host is not one of"},
		"env file":   {"services: {a: {image: IMAGE, env_file: OUTSIDE}}", "env_file \"OUTSIDE\": it leads out of the workspace"},
		"include":    {"include: [OUTSIDE]\nservices: {a: {image: IMAGE}}", "include \"OUTSIDE\": it leads out of the workspace"},
		"remote":     {"include: ['https://example.invalid/x.git']\nservices: {a: {image: IMAGE}}", "compose.yml"},
		"volume":     {"services: {a: {image: IMAGE, volumes: ['vol:/v']}}\nvolumes: {vol: {driver_opts: {type: none, o: bind, device: /}}}", "volumes.vol.driver_opts: a volume holds no files of the machine"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "compose.yml", strings.ReplaceAll(c.file, "OUTSIDE", outside))
			if err := os.Symlink("/etc", filepath.Join(b.workspace, "link")); err != nil {
				t.Fatal(err)
			}
			_, err := b.Run(t.Context(), b.project(func(p *executor.Project) { p.Env = []string{"ROOT=/"} }))
			if start := new(executor.StartError); !errors.As(err, &start) || !strings.Contains(start.What, strings.ReplaceAll(c.want, "OUTSIDE", outside)) {
				t.Errorf("Run: %v; want %q", err, c.want)
			}
			if strings.Contains(b.own.String(), "canary") {
				t.Errorf("the plugin said %s", &b.own)
			}
		})
	}
}

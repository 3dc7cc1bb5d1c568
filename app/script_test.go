package app_test

import (
	"cmp"
	"context"
	"errors"
	gobuild "go/build"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/velocity-ci/velocity/app"
	"github.com/velocity-ci/velocity/architect/dispatch/clustertest"
)

// programs are what scripts can run beside the machine's own programs.
var programs = map[string]func(){
	"velocity": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop)
		os.Exit(app.Main(ctx, os.Args[1:], app.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, os.Environ()))
	},
	"register": func() { os.Exit(registerBuilder(os.Args[1:])) },
	"get":      func() { os.Exit(get(os.Args[1:])) },
	"traced":   func() { os.Exit(traced(os.Args[1:])) },
}

// TestMain makes this test binary the programs of the scripts: each use of one is
// a process of its own, as for users.
func TestMain(m *testing.M) {
	clustertest.Serve()
	testscript.Main(withImages{m}, programs)
}

// TestScripts runs the stories in testdata/script, each in a folder of its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUp,
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"alive":      alive,
			"certify":    certify,
			"cluster":    clusterOf,
			"dockerfile": dockerfile,
			"documented": documented,
			"exits":      exits,
			"free":       free,
			"image":      busyboxImage,
			"keep":       keep,
			"leaks":      leaks,
			"listening":  listening,
			"machine":    machine,
			"more":       more,
			"record":     record,
			"registry":   startRegistry,
			"serving":    serving,
			"shows":      shows,
			"signal":     sendSignal,
			"toolchain":  toolchain,
			"vessel":     vessel,
			"waitfor":    waitFor,
		},
	})
}

const gitConfig = `[user]
	name = Ada
	email = ada@example.com
[init]
	defaultBranch = main
[protocol "file"]
	allow = always
`

// setUp gives a script its own home folder and a git that depends on nothing of
// this machine; commits have the same ids everywhere.
func setUp(env *testscript.Env) error {
	env.Defer(func() { _ = endHooks(env.WorkDir) }) // one that is gone already needs no end
	nodes := &clustered{}
	env.Values[clustered{}] = nodes
	env.Defer(nodes.stop)
	home := filepath.Join(env.WorkDir, ".home")
	built, err := goCache()
	if err != nil {
		return err
	}
	source, err := filepath.Abs(top)
	if err != nil {
		return err
	}
	if err := os.Mkdir(home, 0o777); err != nil {
		return err
	}
	for name, value := range map[string]string{
		"HOME":                home,
		"GIT_CONFIG_NOSYSTEM": "1",
		"GIT_AUTHOR_DATE":     "2026-11-22T12:00:00Z",
		"GIT_COMMITTER_DATE":  "2026-11-22T12:00:00Z",
		"LC_ALL":              "C",
		"NO_COLOR":            "",
		"TERM":                "xterm",
		"DOCKER_HOST":         os.Getenv("DOCKER_HOST"),
		"COMPOSE_PLUGIN":      os.Getenv("VELOCITY_COMPOSE"),
		"BUILDX":              os.Getenv("VELOCITY_BUILDX"),
		"PREVIOUS":            os.Getenv("VELOCITY_PREVIOUS"),
		"RELEASE":             os.Getenv("VELOCITY_RELEASE"),
		"SOURCE":              source,
		"GOCACHE":             built, // not one in the home folder, which is empty
		"GOMODCACHE":          goModules(),
		"GORACE":              "atexit_sleep_ms=0", // else each command takes a second
	} {
		env.Setenv(name, value)
	}
	return os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(gitConfig), 0o666)
}

// goCache is the folder of what the go command has built here before.
func goCache() (string, error) {
	if folder := os.Getenv("GOCACHE"); folder != "" {
		return folder, nil
	}
	folder, err := os.UserCacheDir()
	return filepath.Join(folder, "go-build"), err
}

// goModules is the folder of the modules that the go command has fetched here before.
func goModules() string {
	return cmp.Or(os.Getenv("GOMODCACHE"), filepath.Join(filepath.SplitList(gobuild.Default.GOPATH)[0], "pkg", "mod"))
}

// exits runs a command, `exits STATUS COMMAND ARGUMENT...`, that must end with
// this status: `! exec` would take a crash for a refusal.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND [ARGUMENT...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	got := 0
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("%v ended with status %d; want %d", args[1:], got, want)
	}
}

package app_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestGolden reads repositories that this version and earlier ones made
// (testdata/golden/make.sh): what they say of their builds stays true, with new
// fields at most, and a server goes on with what was unfinished.
func TestGolden(t *testing.T) {
	bundles, err := filepath.Glob("testdata/golden/*.bundle")
	if err != nil || len(bundles) == 0 {
		t.Fatalf("no golden repositories: %v", err)
	}
	for _, bundle := range bundles {
		t.Run(filepath.Base(bundle), func(t *testing.T) { golden(t, bundle) })
	}
}

func golden(t *testing.T, bundle string) {
	repo := filepath.Join(t.TempDir(), "repo.git")
	home := t.TempDir()
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), "HOME="+home, "GIT_CONFIG_NOSYSTEM=1", "GORACE=atexit_sleep_ms=0")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	run("git", "clone", "-q", "--mirror", bundle, repo)
	told, err := os.ReadFile(strings.TrimSuffix(bundle, ".bundle") + ".json")
	if err != nil {
		t.Fatal(err)
	}
	want := decodeAny(t, string(told))
	got := decodeAny(t, run("velocity", "builds", "--repo", repo, "--json", "--limit", "100"))
	contains(t, "builds", want, got)
	ended := 0
	for _, b := range want.([]any) {
		if b := b.(map[string]any); b["state"] != "building" {
			checkGoldenBuild(t, b, run, repo)
			ended++
		}
	}
	notes := run("git", "-C", repo, "log", "--notes=velocity", "--format=%N", "main")
	if lines := strings.Count(notes, "velocity/1 "); lines != ended {
		t.Errorf("%d lines in the notes, %d builds ended:\n%s", lines, ended, notes)
	}

	run("velocity", "fsck", "--full", "--repo", repo)
	run("velocity", "serve", "--repo", repo, "--executor", "host", "--once")
	run("velocity", "fsck", "--full", "--repo", repo)
	after := decodeAny(t, run("velocity", "builds", "--repo", repo, "--json", "--limit", "100")).([]any)
	if unfinished := len(want.([]any)) - ended; len(after) != len(want.([]any))+1 || unfinished != 1 {
		t.Fatalf("%d builds of %d, of which %d were unfinished, and a trigger became %d", len(want.([]any)), ended+unfinished, unfinished, len(after))
	}
	for _, b := range after[:2] { // the trigger in the inbox, and what was unfinished
		if b := b.(map[string]any); b["state"] != "succeeded" {
			t.Errorf("build %v: %v, %v", b["id"], b["state"], b["reason"])
		}
	}
}

// checkGoldenBuild reads what is kept beside a build's state.
func checkGoldenBuild(t *testing.T, b map[string]any, run func(string, ...string) string, repo string) {
	t.Helper()
	id := b["id"].(string)
	for _, s := range b["stages"].([]any) {
		for _, task := range s.(map[string]any)["tasks"].([]any) {
			task := task.(map[string]any)
			log, has := task["log"].(map[string]any)
			if !has {
				continue
			}
			out := run("velocity", "logs", id, task["key"].(string), "--repo", repo)
			if fmt.Sprint(len(out)) != fmt.Sprint(log["bytes"]) {
				t.Errorf("the log of %s, task %v, has %d bytes; want %v", id, task["name"], len(out), log["bytes"])
			}
		}
	}
}

func decodeAny(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// contains asks that got has all of want; objects may have more fields.
func contains(t *testing.T, at string, want, got any) {
	t.Helper()
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			t.Errorf("%s is no object any more", at)
		}
		for key, value := range want {
			contains(t, at+"."+key, value, got[key])
		}
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(want) {
			t.Fatalf("%s is no list of %d any more", at, len(want))
		}
		for i := range want {
			contains(t, fmt.Sprintf("%s[%d]", at, i), want[i], got[i])
		}
	default:
		if got != want {
			t.Errorf("%s is %v; it was %v", at, got, want)
		}
	}
}

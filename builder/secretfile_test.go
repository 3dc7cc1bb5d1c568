package builder

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A step finds its secret in a file below a folder that only the builder's user
// can look into, and nothing of it is left when the step has ended.
func TestSecretFile(t *testing.T) {
	w := newBench(t)
	w.Memory = t.TempDir()
	task := script(`test "$(cat "$token_FILE")" = hunter2-hunter2
ls -ld "$(dirname "$(dirname "$token_FILE")")" | cut -c1-10`)
	task.Parameters = []plan.Parameter{{Name: "token", Secret: true}}
	task.Steps[0].Secrets = []string{"token"}
	task.Steps[0].Run.SecretFiles = []string{"token"}
	r := w.build(t, task, func(a *dispatch.Assignment) { a.Values["token"] = "hunter2-hunter2" })
	if r.Verdict != dispatch.Succeeded {
		t.Errorf("ended %s, %q", r.Verdict, r.Reason)
	}
	if got := w.ear.text(); !strings.Contains(got, "drwx------") {
		t.Errorf("the folder's mode is %q", got)
	}
	if left, err := os.ReadDir(w.Memory); err != nil || len(left) > 0 {
		t.Errorf("left in memory: %v, %v", left, err)
	}
}

// Others can put folders there, too: none of theirs is used, and none removed.
func TestSecretFilesAreReaped(t *testing.T) {
	w := newBench(t)
	w.Memory = t.TempDir()
	for name, stays := range map[string]bool{
		w.secretPrefix() + "local-s0t0.1" + secretMark + "123": false, // of a process that was killed
		"velocity-0123456789abcdef-local-s0t0.1~123":           true,  // another builder's
		w.secretPrefix() + "unmarked":                          true,
		"other":                                                true,
	} {
		path := filepath.Join(w.Memory, name)
		if err := os.MkdirAll(filepath.Join(path, "step"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := w.reapSecretFiles(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); (err == nil) != stays {
			t.Errorf("%s is there: %v; want %v", name, err == nil, stays)
		}
	}
}

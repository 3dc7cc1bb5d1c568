package blueprint

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// Everything that the language has, in one plan.
func TestDrawEverything(t *testing.T) {
	c, findings := mustLoad(t, dir(t, "testdata/full"))
	if len(findings) > 0 {
		t.Fatalf("findings: %v", findings)
	}
	req := request("default", commit())
	req.Lookup = func(name string) (string, bool) { return "", strings.HasSuffix(name, "_password") }
	req.Changed = func(patterns []string) (bool, error) { return plan.Matches(patterns, "Dockerfile"), nil }
	req.Digest = func(patterns []string) (string, error) { return strings.Join(patterns, ","), nil }
	got, err := mustDraw(t, c, req).Encode()
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/full.plan.json"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("plan differs (-want +got):\n%s", diff)
	}
}

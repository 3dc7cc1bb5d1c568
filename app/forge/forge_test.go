package forge

import (
	"testing"

	"pgregory.net/rapid"
)

func TestPullOf(t *testing.T) {
	for _, ref := range []string{
		"", "refs/heads/main", "refs/pull/7", "refs/pull/7/merge", "refs/pull/x/head", "refs/pull/07/head",
		"refs/pull/-/head", "refs/pull/7/head/x", "refs/merge-requests/7/head",
	} {
		if n, ok := GitHub.PullOf(ref); ok {
			t.Errorf("PullOf(%q) = %d; want none", ref, n)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]Kind{GitHub, GitLab}).Draw(t, "kind")
		n := rapid.Int64Min(1).Draw(t, "number")
		if got, ok := kind.PullOf(kind.Ref(n)); !ok || got != n {
			t.Fatalf("%s: PullOf(Ref(%d)) = %d, %v", kind, n, got, ok)
		}
	})
}

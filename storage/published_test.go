package storage

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/velocity-ci/velocity/storage/git"
)

func hashOf(digit string) git.Hash {
	h, err := git.ParseHash(strings.Repeat(digit, 40))
	if err != nil {
		panic(err)
	}
	return h
}

// TestPublishedRemembers: what is at a remote counts as ours if we sent it, also
// when we cannot know whether a push arrived.
func TestPublishedRemembers(t *testing.T) {
	const ref = "refs/velocity/abcdef/logs/00000"
	p := &published{Sent: map[string][]string{}}
	one, two, three := hashOf("1"), hashOf("2"), hashOf("3")
	check := func(want ...git.Hash) {
		t.Helper()
		for _, h := range []git.Hash{one, two, three} {
			if got := p.sent(ref, h); got != slices.Contains(want, h) {
				t.Errorf("sent(%s) = %t", h, got)
			}
		}
	}
	check()
	p.remember(ref, one, two) // one is somebody else's
	check(two)
	p.remember(ref, two, three)
	check(two, three)
	p.remember(ref, three, one)
	check(three, one)
	p.remember(ref, one, one)
	check(one)
}

func TestPublishedWait(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ago := func(seconds ...int) (at []time.Time) {
		for _, s := range seconds {
			at = append(at, now.Add(-time.Duration(s)*time.Second))
		}
		return at
	}
	for _, c := range []struct {
		pushes []time.Time
		want   time.Duration
	}{
		{nil, 0},
		{ago(1, 2, 3, 4, 5), 0},
		{ago(1, 2, 3, 4, 5, 6), 54 * time.Second},
		{ago(1, 2, 3, 4, 5, 60), 0},
		{ago(1, 2, 3, 4, 5, 6, 7), 54 * time.Second},
		{ago(-1, -2, -3, -4, -5, -600), 0}, // a clock that was set back
	} {
		p := &published{Pushes: slices.Clone(c.pushes)}
		if got := p.wait(now); got != c.want {
			t.Errorf("wait after %v = %s, want %s", c.pushes, got, c.want)
		}
	}
}

// FuzzPublished: a file that can be read is written as it was meant.
func FuzzPublished(f *testing.F) {
	f.Add(`{"version":1,"sent":{"refs/a/b":["x"]},"pushes":["2026-11-22T12:00:00Z"]}`)
	f.Add(`{"version":2}`)
	f.Add(`{"sent":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		var p published
		if p.decode([]byte(text)) != nil {
			return
		}
		p.remember("refs/x/y", hashOf("1"), hashOf("2"))
		p.wait(time.Now())
		data, err := json.Marshal(&p)
		if err != nil {
			return // a time that JSON cannot hold
		}
		var again published
		if err := again.decode(data); err != nil {
			t.Fatalf("decode %s: %v", data, err)
		}
		if diff := cmp.Diff(p.Sent, again.Sent, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("sent (-want +got):\n%s", diff)
		}
	})
}

// FuzzParseFetched: what is read as the name of a copy is written the same.
func FuzzParseFetched(f *testing.F) {
	f.Add("refs/velocity/remotes/origin/abcdef/archive/0000")
	f.Add("refs/velocity/remotes/url+0123/abcdef/logs/100000")
	f.Fuzz(func(t *testing.T, ref string) {
		got, ok := parseFetched(ref)
		if ok && got.String() != ref {
			t.Errorf("parseFetched(%q) = %s", ref, got)
		}
	})
}

package hooks

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

const (
	one  = "1111111111111111111111111111111111111111"
	two  = "2222222222222222222222222222222222222222"
	none = "0000000000000000000000000000000000000000"
)

func TestReadPush(t *testing.T) {
	in := one + " " + two + " refs/heads/feature/a b\n" +
		none + " " + one + " refs/tags/v1\n" +
		one + " " + none + " refs/heads/gone\n" +
		one + " " + two + " refs/pull/1/head\n" +
		one + " " + two + " refs/notes/velocity\n"
	got, err := ReadPush(strings.NewReader(in), []string{"velocity.detach", "ci.skip", "velocity.typo"})
	if err != nil {
		t.Fatal(err)
	}
	want := &Push{
		Updates: []Update{{"refs/heads/feature/a b", one, two}, {"refs/tags/v1", none, one}},
		Detach:  true,
		Notes:   []string{`push option "velocity.typo" is not known; there are velocity.skip and velocity.detach`},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ReadPush (-want +got):\n%s", diff)
	}
}

func TestReadPushRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"short":       "x\n",
		"no commits":  "a b refs/heads/x\n",
		"short ids":   "1111111 2222222 refs/heads/x\n",
		"option":      "--upload-pack=x " + two + " refs/heads/x\n",
		"endless":     one + " " + two + " refs/heads/" + strings.Repeat("x", 1<<16) + "\n",
		"many":        strings.Repeat(one+" "+two+" refs/heads/x\n", maxUpdates+1),
		"upper case":  strings.ToUpper("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa") + " " + two + " refs/heads/x\n",
		"double gaps": one + "  " + two + " refs/heads/x\n",
	} {
		if p, err := ReadPush(strings.NewReader(in), nil); err == nil {
			t.Errorf("%s: ReadPush = %+v; want an error", name, p)
		}
	}
}

func TestOptions(t *testing.T) {
	env := map[string]string{"GIT_PUSH_OPTION_COUNT": "3", "GIT_PUSH_OPTION_0": "a=b;c", "GIT_PUSH_OPTION_1": "", "GIT_PUSH_OPTION_2": strings.Repeat("x", maxOption+1)}
	if diff := cmp.Diff([]string{"a=b;c", ""}, Options(env)); diff != "" {
		t.Errorf("Options (-want +got):\n%s", diff)
	}
	many := map[string]string{"GIT_PUSH_OPTION_COUNT": "1000000000"}
	if got := Options(many); len(got) != maxOptions {
		t.Errorf("Options of a billion = %d; want %d", len(got), maxOptions)
	}
	for _, count := range []string{"", "x", "-1"} {
		if got := Options(map[string]string{"GIT_PUSH_OPTION_COUNT": count}); got != nil {
			t.Errorf("Options with count %q = %q", count, got)
		}
	}
}

func FuzzReadPush(f *testing.F) {
	f.Add(one+" "+two+" refs/heads/x\n", "velocity.skip")
	f.Fuzz(func(t *testing.T, in, option string) {
		p, err := ReadPush(strings.NewReader(in), []string{option})
		if err != nil {
			return
		}
		var again strings.Builder
		for _, u := range p.Updates {
			if u.New.Zero() || plan.Branch(u.Ref)+plan.Tag(u.Ref) == "" {
				t.Fatalf("update %+v is none", u)
			}
			fmt.Fprintf(&again, "%s %s %s\n", u.Old, u.New, u.Ref)
		}
		q, err := ReadPush(strings.NewReader(again.String()), []string{option})
		if err != nil || cmp.Diff(p, q) != "" {
			t.Fatalf("read again: %v\n%s", err, cmp.Diff(p, q))
		}
	})
}

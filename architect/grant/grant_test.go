package grant_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/architect/grant"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// The refs of the table: the default branch, another branch, a tag, a bare commit.
var refs = map[string]grant.Ask{
	"main":   {Ref: "refs/heads/main", Protected: true},
	"topic":  {Ref: "refs/heads/topic"},
	"tag":    {Ref: "refs/tags/v1"},
	"commit": {},
}

// The secrets of the table, each bound in another way.
var secrets = map[byte]grant.Binding{
	'D': {Name: "default"},
	'R': {Name: "refs", Refs: []string{"topic", "refs/tags/v*"}},
	'B': {Name: "blueprint", Blueprints: []string{"deploy"}},
	'E': {Name: "event", Events: []string{"schedule", "pull_request"}},
}

// The truth. Every line is an event, whose code it is, who asked and the ref, and
// then what the blueprints test and deploy may have: secrets by the letters above;
// h for the host executor, t for trusted builders, r and w for caches.
const truth = `
push         own  writer   main    D..htrw     DB.htrw
push         own  writer   topic   R..htr      R..htr
push         own  writer   tag     R..htr      R..htr
push         own  writer   commit  ..htr       ..htr
push         own  stranger main    ..          ..
push         own  stranger topic   ..          ..
push         own  stranger tag     ..          ..
push         own  stranger commit  ..          ..
push         fork writer   main    ..          ..
push         fork writer   topic   ..          ..
push         fork writer   tag     ..          ..
push         fork writer   commit  ..          ..
push         fork stranger main    ..          ..
push         fork stranger topic   ..          ..
push         fork stranger tag     ..          ..
push         fork stranger commit  ..          ..
manual       own  writer   main    D..htr      DB.htr
manual       own  writer   topic   R..htr      R..htr
manual       own  writer   tag     R..htr      R..htr
manual       own  writer   commit  ..htr       ..htr
manual       own  stranger main    ..          ..
manual       own  stranger topic   ..          ..
manual       own  stranger tag     ..          ..
manual       own  stranger commit  ..          ..
manual       fork writer   main    ..          ..
manual       fork writer   topic   ..          ..
manual       fork writer   tag     ..          ..
manual       fork writer   commit  ..          ..
manual       fork stranger main    ..          ..
manual       fork stranger topic   ..          ..
manual       fork stranger tag     ..          ..
manual       fork stranger commit  ..          ..
schedule     own  writer   main    DE.htrw     DBE.htrw
schedule     own  writer   topic   R..htr      R..htr
schedule     own  writer   tag     R..htr      R..htr
schedule     own  writer   commit  ..htr       ..htr
schedule     own  stranger main    ..          ..
schedule     own  stranger topic   ..          ..
schedule     own  stranger tag     ..          ..
schedule     own  stranger commit  ..          ..
schedule     fork writer   main    ..          ..
schedule     fork writer   topic   ..          ..
schedule     fork writer   tag     ..          ..
schedule     fork writer   commit  ..          ..
schedule     fork stranger main    ..          ..
schedule     fork stranger topic   ..          ..
schedule     fork stranger tag     ..          ..
schedule     fork stranger commit  ..          ..
local        own  writer   main    D..htrw     DB.htrw
local        own  writer   topic   R..htrw     R..htrw
local        own  writer   tag     R..htrw     R..htrw
local        own  writer   commit  ..htrw      ..htrw
local        own  stranger main    ..          ..
local        own  stranger topic   ..          ..
local        own  stranger tag     ..          ..
local        own  stranger commit  ..          ..
local        fork writer   main    ..          ..
local        fork writer   topic   ..          ..
local        fork writer   tag     ..          ..
local        fork writer   commit  ..          ..
local        fork stranger main    ..          ..
local        fork stranger topic   ..          ..
local        fork stranger tag     ..          ..
local        fork stranger commit  ..          ..
pull_request own  writer   main    ..ht        ..ht
pull_request own  writer   topic   ..ht        ..ht
pull_request own  writer   tag     ..ht        ..ht
pull_request own  writer   commit  ..ht        ..ht
pull_request own  stranger main    ..          ..
pull_request own  stranger topic   ..          ..
pull_request own  stranger tag     ..          ..
pull_request own  stranger commit  ..          ..
pull_request fork writer   main    ..          ..
pull_request fork writer   topic   ..          ..
pull_request fork writer   tag     ..          ..
pull_request fork writer   commit  ..          ..
pull_request fork stranger main    ..          ..
pull_request fork stranger topic   ..          ..
pull_request fork stranger tag     ..          ..
pull_request fork stranger commit  ..          ..
merge_group  own  writer   main    ..ht        ..ht
merge_group  own  writer   topic   ..ht        ..ht
merge_group  own  writer   tag     ..ht        ..ht
merge_group  own  writer   commit  ..ht        ..ht
merge_group  own  stranger main    ..          ..
merge_group  own  stranger topic   ..          ..
merge_group  own  stranger tag     ..          ..
merge_group  own  stranger commit  ..          ..
merge_group  fork writer   main    ..          ..
merge_group  fork writer   topic   ..          ..
merge_group  fork writer   tag     ..          ..
merge_group  fork writer   commit  ..          ..
merge_group  fork stranger main    ..          ..
merge_group  fork stranger topic   ..          ..
merge_group  fork stranger tag     ..          ..
merge_group  fork stranger commit  ..          ..
`

// rights writes a decision as the table does.
func rights(ask grant.Ask) string {
	d := grant.Grant(ask)
	given := ""
	for _, c := range []byte("DRBE") {
		if d.Secret(secrets[c]) == nil {
			given += string(c)
		}
	}
	other := ""
	for _, x := range []struct {
		letter string
		may    bool
	}{{"h", d.Host}, {"t", d.Trusted}, {"r", d.ReadCache}, {"w", d.WriteCache}} {
		if x.may {
			other += x.letter
		}
	}
	return given + "." + other
}

func TestTruthTable(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(truth), "\n")
	seen := map[string]bool{}
	for _, line := range lines {
		f := strings.Fields(line)
		ask := refs[f[3]]
		ask.Event, ask.Fork, ask.Stranger = plan.Event(f[0]), f[1] == "fork", f[2] == "stranger"
		seen[strings.Join(f[:4], " ")] = true
		for i, blueprint := range []string{"test", "deploy"} {
			ask.Blueprint = blueprint
			want := strings.ReplaceAll(f[4+i], "..", ".")
			if got := rights(ask); got != want {
				t.Errorf("Grant(%+v) = %q; want %q", ask, got, want)
			}
		}
	}
	events := len(grant.Events()) + 2
	if want := events * 2 * 2 * len(refs); len(seen) != want || len(lines) != want {
		t.Errorf("the table has %d cases in %d lines; the full cross product has %d", len(seen), len(lines), want)
	}
}

// What nobody thought of is denied.
func TestUnknownIsDenied(t *testing.T) {
	ask := grant.Ask{Event: "other", Ref: "refs/heads/main", Protected: true, Blueprint: "deploy"}
	if got := rights(ask); got != "." {
		t.Errorf("Grant(%+v) = %q; want nothing", ask, got)
	}
	if err := (grant.Decision{}).Secret(grant.Binding{Refs: []string{"**"}, Events: []string{""}}); err == nil {
		t.Error("the zero decision gives a secret")
	}
}

// The reason names the secret, what it is bound to and what was asked.
func TestReasons(t *testing.T) {
	main := grant.Ask{Event: plan.EventPush, Ref: "refs/heads/main", Protected: true, Blueprint: "test"}
	topic := grant.Ask{Event: plan.EventPush, Ref: "refs/heads/topic", Blueprint: "test"}
	fork := main
	fork.Fork = true
	for _, c := range []struct {
		ask  grant.Ask
		b    grant.Binding
		want string
	}{
		{topic, grant.Binding{Name: "key"}, "secret key not granted: it is for protected refs, and refs/heads/topic is none"},
		{topic, grant.Binding{Name: "key", Refs: []string{"main"}}, "secret key not granted: it is bound to main, and this build is for refs/heads/topic"},
		{main, grant.Binding{Name: "key", Events: []string{"schedule"}}, "secret key not granted: it is for the events schedule, and this is push"},
		{main, grant.Binding{Name: "key", Blueprints: []string{"deploy"}}, "secret key not granted: it is for the blueprints deploy, and this is test"},
		{fork, grant.Binding{Name: "key"}, "secret key not granted: fork"},
	} {
		err := grant.Grant(c.ask).Secret(c.b)
		var withheld *grant.WithheldError
		if !errors.As(err, &withheld) || err.Error() != c.want {
			t.Errorf("Secret(%+v) for %+v = %v; want %s", c.b, c.ask, err, c.want)
		}
	}
}

// An image that is not named by its digest is not shown a secret, unless the secret's
// owner allows it or it is on somebody's own machine; other secrets are not concerned.
func TestImages(t *testing.T) {
	ask := grant.Ask{Ref: "refs/heads/main", Protected: true, Blueprint: "deploy",
		Exposures: []plan.Exposure{{Secret: "key", Image: "alpine:3", At: "deploy.yml:2:10"}, {Secret: "other", Image: "b"}}}
	const want = `secret key not granted: the image "alpine:3" of the step at deploy.yml:2:10 would see it, and is not named by its digest: ` +
		"name it as NAME@sha256:… (docker buildx imagetools inspect NAME tells it), or set the secret with --any-image"
	for _, event := range grant.Events() {
		ask.Event = event
		d := grant.Grant(ask)
		err := d.Secret(grant.Binding{Name: "key"})
		if local := event == plan.EventLocal; local && err != nil || !local && (err == nil || err.Error() != want) {
			t.Errorf("%s: %v", event, err)
		}
		for _, b := range []grant.Binding{{Name: "key", AnyImage: true}, {Name: "unseen"}} {
			if err := d.Secret(b); err != nil {
				t.Errorf("%s: Secret(%+v) = %v", event, b, err)
			}
		}
	}
	ask.Exposures[0].Image = plan.Text(strings.Repeat("é", 10_000))
	ask.Event = plan.EventPush
	if err := grant.Grant(ask).Secret(grant.Binding{Name: "key"}); err == nil || len(err.Error()) > 1000 {
		t.Errorf("an image with a long name: %v", err)
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		patterns []string
		ref      string
		want     bool
	}{
		{[]string{"main"}, "refs/heads/main", true},
		{[]string{"main"}, "refs/tags/main", false},
		{[]string{"main"}, "refs/heads/x/main", false},
		{[]string{"release/*"}, "refs/heads/release/1", true},
		{[]string{"release/*"}, "refs/heads/release/1/x", false},
		{[]string{"*"}, "refs/heads/a/b", false},
		{[]string{"*"}, "refs/tags/v1", false},
		{[]string{"**"}, "refs/tags/v1", false},
		{[]string{"refs/tags/v*"}, "refs/tags/v1", true},
		{[]string{"release/*", "!release/0"}, "refs/heads/release/0", false},
		{[]string{"!main"}, "refs/heads/other", false},
		{[]string{"["}, "refs/heads/[", false},
		{[]string{"**"}, "", false},
		{nil, "refs/heads/main", false},
	} {
		if got := grant.Matches(c.patterns, c.ref); got != c.want {
			t.Errorf("Matches(%q, %s) = %v; want %v", c.patterns, c.ref, got, c.want)
		}
	}
}

// Danger never adds rights: whoever makes an ask more dangerous in one way has no
// right that was not there before.
func TestDangerAddsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.SampledFrom([]string{"main", "topic", "refs/tags/**", "!topic", "**"})
		b := grant.Binding{
			Name:       "s",
			Refs:       rapid.SliceOfN(some, 0, 3).Draw(t, "refs"),
			Events:     rapid.SliceOfN(rapid.SampledFrom([]string{"push", "manual", "pull_request", "schedule"}), 0, 2).Draw(t, "events"),
			Blueprints: rapid.SliceOfN(rapid.SampledFrom([]string{"test", "deploy"}), 0, 2).Draw(t, "blueprints"),
		}
		ask := grant.Ask{
			Event: plan.Event(rapid.SampledFrom([]string{"push", "manual", "schedule", "local", "pull_request", "merge_group", "other"}).Draw(t, "event")),
			Ref:   rapid.SampledFrom([]string{"", "refs/heads/main", "refs/heads/topic", "refs/tags/v1"}).Draw(t, "ref"),
			Fork:  rapid.Bool().Draw(t, "fork"), Stranger: rapid.Bool().Draw(t, "stranger"), Protected: rapid.Bool().Draw(t, "protected"),
			Blueprint: rapid.SampledFrom([]string{"test", "deploy"}).Draw(t, "blueprint"),
		}
		for name, worsen := range map[string]func(*grant.Ask){
			"fork":        func(a *grant.Ask) { a.Fork = true },
			"stranger":    func(a *grant.Ask) { a.Stranger = true },
			"unprotected": func(a *grant.Ask) { a.Protected = false },
			"unknown":     func(a *grant.Ask) { a.Event = "other" },
			"no ref":      func(a *grant.Ask) { a.Ref, a.Protected = "", false },
			"image":       func(a *grant.Ask) { a.Exposures = []plan.Exposure{{Secret: "s", Image: "alpine"}} },
		} {
			worse := ask
			worsen(&worse)
			if more := added(ask, worse, b); more != "" {
				t.Fatalf("%+v has %s, and %+v has not (%s)", worse, more, ask, name)
			}
		}
	})
}

// added names a right that worse has and ask has not.
func added(ask, worse grant.Ask, b grant.Binding) string {
	x, y := grant.Grant(ask), grant.Grant(worse)
	for _, r := range []struct {
		name          string
		before, after bool
	}{
		{"a secret", x.Secret(b) == nil, y.Secret(b) == nil},
		{"the host", x.Host, y.Host},
		{"trusted builders", x.Trusted, y.Trusted},
		{"caches to read", x.ReadCache, y.ReadCache},
		{"caches to write", x.WriteCache, y.WriteCache},
	} {
		if r.after && !r.before {
			return fmt.Sprint(r.name)
		}
	}
	return ""
}

package blueprint

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// Plugins that can be run are in every plan, and what cannot be is warned of.
func TestPlugins(t *testing.T) {
	c, findings := mustLoad(t, files{
		".velocity.yml": `plugins:
  - {use: slack, arguments: {url: "${slack_url}"}, events: [BUILD_FAIL, BUILD_FAIL, BUILD_NONE]}
  - {use: webhook, arguments: {url: "https://example.com/${x}"}}
  - {use: webhook, arguments: {url: "https://example.com/", secret: "${key}", extra: 1}}
  - {use: webhook, events: [BUILD_START]}
  - {use: slack, arguments: {url: "https://example.com/"}, events: []}
  - {use: exec, arguments: {url: x}}
  - {use: ci/announce}
`,
		".velocityci/blueprints/x.yml": "steps: [{type: run, command: x}]",
	})
	p, err := c.Draw(Request{Name: "x", Git: func(string) (string, error) { return "", nil }})
	if err != nil {
		t.Fatal(err)
	}
	want := []plan.Plugin{
		{Use: "slack", Arguments: []plan.PluginArgument{{Name: "url", Secret: "slack_url"}}, Events: []string{"BUILD_FAIL"}},
		{Use: "webhook", Arguments: []plan.PluginArgument{{Name: "url", Value: "https://example.com/"}, {Name: "secret", Secret: "key"}}, Events: []string{"BUILD_COMPLETE"}},
	}
	if diff := cmp.Diff(want, p.Plugins); diff != "" {
		t.Errorf("plugins (-want +got):\n%s", diff)
	}
	var got []string
	for _, f := range findings {
		got = append(got, f.String())
	}
	if diff := cmp.Diff([]string{
		`.velocity.yml:2:85: warning: there is no event "BUILD_NONE"`,
		`.velocity.yml:3:37: warning: an argument of a plugin is a plain value, or ${NAME} for the secret of that name: the plugin is not run`,
		`.velocity.yml:4:79: warning: the plugin webhook knows no argument "extra"`,
		`.velocity.yml:5:5: warning: the plugin webhook needs the argument url: it is not run`,
		`.velocity.yml:6:35: warning: everybody who can read the repository can read url; velocity secret set keeps a secret, and ${NAME} names it here`,
		`.velocity.yml:7:11: warning: the plugin exec is never run for a repository; the server's configuration can name programs to run`,
		`.velocity.yml:8:11: warning: there is no plugin "ci/announce": it is not run`,
	}, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

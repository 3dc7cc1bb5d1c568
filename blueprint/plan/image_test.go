package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var digest = "@sha256:" + strings.Repeat("0f", 32)

func TestByDigest(t *testing.T) {
	for image, want := range map[string]bool{
		"alpine" + digest:                        true,
		"alpine:3.20" + digest:                   true,
		"registry.example.com:5000/a/b" + digest: true,

		"alpine":                                 false,
		"alpine:3.20":                            false,
		"alpine:sha256":                          false,
		"registry.example.com:5000/a/b":          false,
		"":                                       false,
		"alpine@sha256:0f0f":                     false,
		"alpine@md5:" + strings.Repeat("0f", 16): false,
		"alpine@sha256:" + strings.Repeat("0F", 32): false,
		"alpine@sha256:${digest}":                   false,
		"${image}" + digest:                         false,
		"sha256:" + strings.Repeat("0f", 32):        false, // the engine would pull a tag
		strings.Repeat("0f", 32):                    false,
		"alpine:3.20#" + digest:                     false,
		"alpine" + digest + "\n":                    false,
	} {
		if got := ByDigest(image); got != want {
			t.Errorf("ByDigest(%q) = %v; want %v", image, got, want)
		}
	}
}

func TestExposures(t *testing.T) {
	value := "v"
	run := func(image string, services ...string) *Run {
		r := &Run{Image: Text(image)}
		for _, s := range services {
			r.Services = append(r.Services, Service{Image: Text(s)})
		}
		return r
	}
	seeing := func(r *Run) Step { return Step{At: "seeing", Secrets: []string{"key"}, Run: r} }
	other := func(r *Run) Step { return Step{At: "other", Run: r} }
	files := run("alpine")
	files.SecretFiles = []string{"key"}
	skipped := seeing(run("alpine", "redis"))
	skipped.Skip = true
	for name, c := range map[string]struct {
		steps []Step
		want  string // the image; "": none
		at    string
	}{
		"by digest":                       {steps: []Step{seeing(run("alpine"+digest, "redis"+digest))}},
		"by tag":                          {[]Step{seeing(run("alpine:3"))}, "alpine:3", "seeing"},
		"not known yet":                   {[]Step{seeing(run("${image}"))}, "${image}", "seeing"},
		"in a file":                       {[]Step{{At: "file", Run: files}}, "alpine", "file"},
		"on the machine":                  {steps: []Step{seeing(run(""))}},
		"another step's image":            {steps: []Step{other(run("alpine")), seeing(run("alpine" + digest))}},
		"a service":                       {[]Step{seeing(run("alpine"+digest, "redis:7"))}, "redis:7", "seeing"},
		"another step's service":          {[]Step{other(run("alpine", "redis:7")), seeing(run("alpine" + digest))}, "redis:7", "other"},
		"beside a build":                  {[]Step{{Secrets: []string{"key"}, Build: &ImageBuild{}}, other(run("alpine", "redis:7"))}, "redis:7", "other"},
		"a build alone":                   {steps: []Step{{Secrets: []string{"key"}, Build: &ImageBuild{}}, other(run("alpine"))}},
		"skipped":                         {steps: []Step{skipped, other(run("alpine", "redis"))}},
		"nobody sees it":                  {steps: []Step{other(run("alpine", "redis"))}},
		"a service of what is skipped":    {steps: []Step{skipped, seeing(run("alpine" + digest))}},
		"the first is told, and no other": {[]Step{other(run("a")), seeing(run("b")), seeing(run("c", "d"))}, "b", "seeing"},
	} {
		task := Task{Steps: c.steps, Parameters: []Parameter{
			{Name: "key", Secret: true},
			{Name: "other", Secret: true}, // no step sees it
			{Name: "open"},
		}}
		var want []Exposure
		if c.want != "" {
			want = []Exposure{{"key", Text(c.want), c.at}}
		}
		if diff := cmp.Diff(want, task.Exposures()); diff != "" {
			t.Errorf("%s: exposures (-want +got):\n%s", name, diff)
		}
	}
	task := Task{Steps: []Step{seeing(run("alpine"))}, Parameters: []Parameter{{Name: "key", Secret: true, Value: &value}}}
	if got := task.Exposures(); got != nil {
		t.Errorf("a value that stands in the plan is exposed: %v", got)
	}
}

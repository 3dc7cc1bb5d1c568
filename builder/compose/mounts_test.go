package compose

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/builder/executor"
)

// elsewhere is an engine that finds the workspace in its folder /engine$1.
func elsewhere(root string) func(string) (string, bool, error) {
	return func(path string) (string, bool, error) {
		return "/engine$1" + strings.TrimPrefix(path, root), false, nil
	}
}

// What the engine mounts bears its own names; what the plugin reads, the builder's.
func TestEngineElsewhere(t *testing.T) {
	p := newPolicy(t)
	p.source = elsewhere(p.root)
	text := strings.ReplaceAll(`{"services": {"a": {"image": "i",
		"build": {"context": "ROOT/dir", "dockerfile": "Dockerfile", "secrets": [{"source": "s"}]},
		"secrets": [{"source": "s"}, {"source": "s", "target": "t"}, {"source": "s", "target": "/abs"}, {"source": "nobody's"}],
		"configs": [{"source": "c"}],
		"volumes": [{"type": "bind", "source": "ROOT/in", "target": "/x"}, {"type": "volume", "source": "v", "target": "/y"}]
	}}, "volumes": {"v": {}}, "secrets": {"s": {"file": "ROOT/file"}}, "configs": {"c": {"file": "ROOT/file"}}}`, "ROOT", p.root)
	got, err := check([]byte(text), p)
	if err != nil {
		t.Fatal(err)
	}
	passed := decoded(t, string(got.json)).(map[string]any)
	service := passed["services"].(map[string]any)["a"].(map[string]any)
	bind := func(source, target, readOnly string) string {
		return fmt.Sprintf(`{"type": "bind", "source": %q, "target": %q, %s "bind": {"create_host_path": false}}`, source, target, readOnly)
	}
	file := "/engine$$1/file"
	for field, want := range map[string]string{
		"volumes": "[" + strings.Join([]string{
			bind(file, "/c", `"read_only": true,`),
			bind(file, "/run/secrets/s", `"read_only": true,`), bind(file, "/run/secrets/t", `"read_only": true,`), bind(file, "/abs", `"read_only": true,`),
			bind("/engine$$1/dir/sub", "/x", ""), `{"type": "volume", "source": "v", "target": "/y"}`,
		}, ", ") + "]",
		"secrets": `[{"source": "nobody's"}]`,
		"build":   strings.ReplaceAll(`{"context": "ROOT/dir", "dockerfile": "ROOT/dir/Dockerfile", "secrets": [{"source": "s"}]}`, "ROOT", p.root),
	} {
		if diff := cmp.Diff(decoded(t, want), service[field]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", field, diff)
		}
	}
	if configs, there := service["configs"]; there { // the plugin wants a list
		t.Errorf("configs: %v", configs)
	}
	if diff := cmp.Diff(map[string]any{"s": map[string]any{"file": p.root + "/file"}}, passed["secrets"]); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
}

// What the builder itself may only read, no service may write.
func TestEngineElsewhereReadOnly(t *testing.T) {
	p := newPolicy(t)
	p.source = func(path string) (string, bool, error) { return path, true, nil }
	got, err := check([]byte(strings.ReplaceAll(ofService(`"volumes": [{"type": "bind", "source": "ROOT/in", "target": "/x"}]`), "ROOT", p.root)), p)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(got.json), `"read_only":true`) {
		t.Errorf("passed %s", got.json)
	}
}

// What cannot be shown is refused by its place, but only if a service would see it;
// an engine that does not answer is no fault of the project.
func TestEngineCannotShow(t *testing.T) {
	p := newPolicy(t)
	why := &executor.StartError{What: "it is on no volume"}
	project := strings.ReplaceAll(`{"services": {"a": {"image": "i", SERVICE}}, "secrets": {"s": {"file": "ROOT/file"}}}`, "ROOT", p.root)
	for service, want := range map[string]string{
		`"volumes": [{"type": "bind", "source": "` + p.root + `/in", "target": "/x"}]`: "services.a.volumes[0].source: it is on no volume",
		`"secrets": [{"source": "s"}]`:                                         "services.a.secrets[0]: it is on no volume",
		`"build": {"context": "` + p.root + `", "secrets": [{"source": "s"}]}`: "",
	} {
		text := []byte(strings.ReplaceAll(project, "SERVICE", service))
		p.source = func(string) (string, bool, error) { return "", false, why }
		_, err := check(text, p)
		if start := new(executor.StartError); want == "" && err != nil || want != "" && (!errors.As(err, &start) || !strings.Contains(start.What, want)) {
			t.Errorf("%s: %v; want %q", service, err, want)
		}
		p.source = func(string) (string, bool, error) { return "", false, fmt.Errorf("gone: %w", executor.ErrEngine) }
		if _, err := check(text, p); errors.Is(err, executor.ErrEngine) != (want != "") {
			t.Errorf("%s without an engine: %v", service, err)
		}
	}
}

package plugin

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/architect/build"
)

// docs/plugins.md shows what is sent, as it is.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/plugins.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, sent := range map[string]any{
		"an event":  example(t, build.TaskFail),
		"a message": message(example(t, build.BuildFail)),
	} {
		var text bytes.Buffer
		enc := json.NewEncoder(&text)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(sent); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), "```json\n"+text.String()+"```") {
			t.Errorf("docs/plugins.md does not show %s, which is\n%s", name, &text)
		}
	}
}

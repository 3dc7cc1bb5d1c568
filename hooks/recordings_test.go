package hooks

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/builder/require"
)

// labHeaders are the events in GitLab's header, by how the names of recordings begin.
var labHeaders = map[string]string{
	"push":          "Push Hook",
	"tag_push":      "Tag Push Hook",
	"merge_request": "Merge Request Hook",
	"note":          "Note Hook",
	"pipeline":      "Pipeline Hook",
	"job":           "Job Hook",
	"system":        "System Hook",
}

// request makes a recording into a request, signed as its forge would have.
func request(forge, file string, body []byte) *http.Request {
	about, _, _ := strings.Cut(file, "--")
	if forge == fromGitHub {
		return hubPost(about, file, body)
	}
	event := labHeaders[about]
	if strings.Contains(file, "service-hook") {
		event = "Service Hook"
	}
	return labPost(event, file, body)
}

// poison is the kind of what cannot be decoded.
const poison Kind = "poison"

// TestRecordings sends all that was recorded of forges. Each is taken, and each means
// what is written here: a recording that is new has to be written down first.
func TestRecordings(t *testing.T) {
	data := require.ForgeData(t)
	for _, folder := range []string{"github", "gitlab", "spliced/github", "spliced/gitlab"} {
		files, err := filepath.Glob(filepath.Join(data, folder, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			name := folder + "/" + filepath.Base(path)
			want, known := recordings[name]
			if !known {
				t.Errorf("nobody wrote down what %s means", name)
			}
			body, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := receive(t, filepath.Base(folder), filepath.Base(path), body); got != want {
				t.Errorf("%s is %q; want %q", name, got, want)
			}
		}
		for name := range recordings {
			if filepath.Dir(name) == folder && !has(files, filepath.Base(name)) {
				t.Errorf("%s is written down, and was not there to be sent", name)
			}
		}
	}
}

func has(files []string, name string) bool {
	for _, path := range files {
		if filepath.Base(path) == name {
			return true
		}
	}
	return false
}

// receive sends a body through the handlers of its forge, and decodes what came out.
func receive(t *testing.T, forge, file string, body []byte) Kind {
	t.Helper()
	inbox := &memory{}
	var h http.Handler = gitHub(t, testReceiver(inbox))
	if forge == fromGitLab {
		h = gitLab(t, testReceiver(inbox), false)
	}
	if resp := send(h, request(forge, file, body)); resp.StatusCode != http.StatusAccepted {
		t.Errorf("%s %s is answered %s; want 202", forge, file, resp.Status)
		return ""
	}
	e, err := Decode(inbox.all()[0])
	if err != nil {
		return poison
	}
	return e.Kind
}

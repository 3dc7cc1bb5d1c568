package blueprint

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Each archive in testdata/lint is a tree and, under the name want, what is found
// in it.
func TestLint(t *testing.T) {
	archives, err := filepath.Glob("testdata/lint/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, path := range archives {
		t.Run(filepath.Base(path), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			tree, want := files{}, ""
			for _, f := range archive.Files {
				if f.Name == "want" {
					want = string(f.Data)
				} else {
					tree[f.Name] = string(f.Data)
				}
			}
			_, findings := mustLoad(t, tree)
			got := findings.Error() + "\n"
			if len(findings) == 0 {
				got = ""
			}
			if *update {
				writeWant(t, path, archive, got)
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("findings differ (-want +got):\n%s", diff)
			}
		})
	}
}

func writeWant(t *testing.T, path string, archive *txtar.Archive, want string) {
	t.Helper()
	var kept []txtar.File
	for _, f := range archive.Files {
		if f.Name != "want" {
			kept = append(kept, f)
		}
	}
	archive.Files = append(kept, txtar.File{Name: "want", Data: []byte(want)})
	if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFindingsAsErrorAndJSON(t *testing.T) {
	_, findings := mustLoad(t, one("stpes: []\nsteps:\n  - {type: run, script: x, imgae: y}\n"))
	if err := findings.Err(); err != nil {
		t.Errorf("Err() = %v; want nil, since they are warnings", err)
	}
	err := findings.Strict().Err()
	var again Findings
	if !errors.As(err, &again) || len(again) != 2 {
		t.Fatalf("Strict().Err() = %v; want two findings", err)
	}
	got, _ := json.Marshal(findings[0])
	want := `{"file":".velocityci/blueprints/b.yml","line":1,"column":1,"severity":"warning",` +
		`"message":"a blueprint has no key \"stpes\"","hint":"did you mean \"steps\"?"}`
	if string(got) != want {
		t.Errorf("JSON = %s; want %s", got, want)
	}
}

func TestNearest(t *testing.T) {
	for _, c := range []struct {
		word, want string
		candidates []string
	}{
		{"imgae", "image", []string{"name", "image", "pull"}},
		{"workingdir", "workingDir", []string{"workingDir"}},
		{"x", "", []string{"steps", "timeout"}},
		{"", "", []string{"a"}},
	} {
		if got := nearest(c.word, c.candidates); got != c.want {
			t.Errorf("nearest(%q, %q) = %q; want %q", c.word, c.candidates, got, c.want)
		}
	}
}

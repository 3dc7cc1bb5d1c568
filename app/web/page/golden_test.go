package page

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden pages anew")

// versions of assets change with them, and say nothing about pages.
var versions = regexp.MustCompile(`\?v=[0-9a-f]{12}`)

// Every page is as it was when somebody last looked at it.
func TestGoldenPages(t *testing.T) {
	for name, v := range examples() {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := Write(&out, exampleFrame, v); err != nil {
				t.Fatal(err)
			}
			got := versions.ReplaceAll(out.Bytes(), []byte("?v=1"))
			path := filepath.Join("testdata", name+".html")
			if *update {
				if err := os.WriteFile(path, got, 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s differs; -update takes it over:\n%s", path, diff)
			}
		})
	}
}

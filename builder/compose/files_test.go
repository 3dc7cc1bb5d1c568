package compose

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// newProject is a workspace with the files, of names and contents.
func newProject(t *testing.T, files ...string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(root, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if to, ok := strings.CutPrefix(files[i+1], "-> "); ok {
			err = os.Symlink(to, path)
		} else {
			err = os.WriteFile(path, []byte(files[i+1]), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// Files of the workspace are found, through links within it, too.
func TestFindFiles(t *testing.T) {
	root := newProject(t, "deploy/c.yml", "-> ../real/c.yml", "deploy/.env", "A=1\n", "real/e", "", "deploy/e", "",
		"real/c.yml", "include: [{path: ../inc/i.yml}]\nservices: {a: {extends: {file: ../inc/x.yml, service: x}, env_file: [e, {path: none, required: false}]}}",
		"inc/i.yml", "services: {}", "inc/x.yml", "services: {x: {extends: y, label_file: ./l}}")
	got, err := findFiles(root, "deploy/c.yml")
	want := files{root: root, dir: root + "/deploy", compose: root + "/real/c.yml", dotenv: root + "/deploy/.env"}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(files{})); err != nil || diff != "" {
		t.Errorf("findFiles: %v (-want +got):\n%s", err, diff)
	}
}

// A project that names a file elsewhere is refused, however it does so.
func TestFilesElsewhere(t *testing.T) {
	for name, c := range map[string]struct {
		files []string
		want  string
	}{
		"compose file":       {[]string{"c.yml", "-> /etc/passwd"}, "composeFile \"c.yml\": it leads out"},
		"its directory":      {[]string{"x", ""}, ""},
		"dotenv":             {[]string{"c.yml", "", ".env", "-> /etc/passwd"}, ".env: it leads out"},
		"env_file":           {[]string{"c.yml", "services: {a: {env_file: /etc/passwd}}"}, "c.yml:1: env_file \"/etc/passwd\": it leads out"},
		"env_file, list":     {[]string{"c.yml", "services: {a: {env_file: [x, ../y]}}"}, "env_file \"../y\": it leads out"},
		"env_file, path":     {[]string{"c.yml", "services: {a: {env_file: [{path: ../y}]}}"}, "env_file \"../y\": it leads out"},
		"env_file, variable": {[]string{"c.yml", "services: {a: {env_file: '${X}'}}"}, "may not hold a variable"},
		"env_file, link":     {[]string{"c.yml", "services: {a: {env_file: l}}", "l", "-> /etc/passwd"}, "it leads out"},
		"env_file, alias":    {[]string{"c.yml", "x-a: &a /etc/passwd\nservices: {a: {env_file: *a}}"}, "it leads out"},
		"env_file, key":      {[]string{"c.yml", "x-k: &k env_file\nservices: {a: {*k : /etc/passwd}}"}, "it leads out"},
		"env_file, merged":   {[]string{"c.yml", "x-a: &a {env_file: /etc/passwd}\nservices: {a: {<<: *a}}"}, "it leads out"},
		"env_file, escaped":  {[]string{"c.yml", "services: {a: {\"env\\x5ffile\": /etc/passwd}}"}, "it leads out"},
		"label_file":         {[]string{"c.yml", "services: {a: {label_file: [/etc/passwd]}}"}, "it leads out"},
		"extends":            {[]string{"c.yml", "services: {a: {extends: {file: /etc/x.yml, service: x}}}"}, "extends.file \"/etc/x.yml\": it leads out"},
		"extends, then":      {[]string{"c.yml", "services: {a: {extends: {file: d/x.yml}}}", "d/x.yml", "services: {a: {env_file: ../../y}}"}, "d/x.yml:1: env_file"},
		"include":            {[]string{"c.yml", "include: [/etc/x.yml]"}, "it leads out"},
		"include, paths":     {[]string{"c.yml", "include: [{path: [a.yml, /etc/x.yml]}]"}, "it leads out"},
		"include, env":       {[]string{"c.yml", "include: [{path: a.yml, env_file: /etc/passwd}]"}, "it leads out"},
		"include, directory": {[]string{"c.yml", "include: [{path: a.yml, project_directory: x}]"}, "project_directory is not allowed"},
		"include, dotenv":    {[]string{"c.yml", "include: [d/a.yml]", "d/a.yml", "", "d/.env", "-> /etc/passwd"}, "d/.env: it leads out"},
		"second document":    {[]string{"c.yml", "services: {}\n---\ninclude: [/etc/x.yml]"}, "it leads out"},
		"not YAML":           {[]string{"c.yml", "\t:"}, "c.yml: "},
		"too large":          {[]string{"c.yml", strings.Repeat("# \n", maxFile)}, "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.want == "" {
				root := newProject(t, "out", "-> /etc")
				if _, err := findFiles(root, "out/passwd"); err == nil || !strings.Contains(err.Error(), "it leads out") {
					t.Errorf("findFiles: %v", err)
				}
				return
			}
			if _, err := findFiles(newProject(t, c.files...), "c.yml"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("findFiles: %v; want %q", err, c.want)
			}
		})
	}
}

// Aliases of aliases and files that include themselves are looked at once.
func TestFilesBounded(t *testing.T) {
	bomb := "x-a: &a [x]\n"
	for c := 'b'; c <= 'z'; c++ {
		bomb += "x-" + string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+", ", 9) + "]\n"
	}
	root := newProject(t, "c.yml", bomb+"include: [c.yml, d.yml]\n", "d.yml", "include: [c.yml]\n")
	if _, err := findFiles(root, "c.yml"); err != nil {
		t.Errorf("findFiles: %v", err)
	}
}

// FuzzFiles: whatever a Compose file holds, looking through it ends.
func FuzzFiles(f *testing.F) {
	f.Add([]byte("x-a: &a {env_file: [x, {path: y}]}\nservices: {a: {<<: *a, extends: {file: c.yml}}}\ninclude: [c.yml]\n"))
	f.Add([]byte("&a [*a]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, _ = findFiles(newProject(t, "c.yml", string(text)), "c.yml")
	})
}

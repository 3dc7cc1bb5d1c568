package blueprint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// files is a Tree in memory, from path to text.
type files map[string]string

func (f files) List(dir string) ([]string, error) {
	var list []string
	for name := range f {
		if strings.HasPrefix(name, dir+"/") {
			list = append(list, name)
		}
	}
	return list, nil
}

func (f files) Read(path string) ([]byte, error) {
	text, ok := f[path]
	if !ok {
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	return []byte(text), nil
}

// dir reads the files below a folder of testdata.
func dir(t testing.TB, root string) files {
	t.Helper()
	f := files{}
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(root + "/" + path)
		f[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// one is a tree with a single blueprint called b.
func one(blueprint string) files {
	return files{".velocityci/blueprints/b.yml": blueprint}
}

func mustLoad(t testing.TB, tree Tree) (*Config, Findings) {
	t.Helper()
	c, findings, err := Load(tree)
	if err != nil {
		t.Fatalf("Load() = %v", err)
	}
	return c, findings
}

// commit has a value for everything that git knows.
func commit() map[string]string {
	return map[string]string{
		"git.branch": "feature/X y", "git.tag": "", "git.commit.sha.long": "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
		"git.commit.sha.short": "2fd4e1c", "git.commit.author": "Ada <ada@example.com>", "git.commit.message": "say $(hello) ${x}\n",
		"git.commit.rfc3339": "2026-01-02T03:04:05Z", "git.commit.rfc822": "02 Jan 26 03:04 UTC",
		"git.describe": "v1.0-3-g2fd4e1c", "git.describe.all": "heads/main",
	}
}

// request asks for name as a push to a branch would.
func request(name string, git map[string]string) Request {
	return Request{
		Name:   name,
		Config: "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
		Trigger: plan.Trigger{
			Event: plan.EventPush, Ref: "refs/heads/feature/X", Commit: "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12", Received: time.Unix(0, 0),
		},
		Git: func(name string) (string, error) {
			v, ok := git[name]
			if !ok {
				return "", fmt.Errorf("nothing known about %s", name)
			}
			return v, nil
		},
	}
}

func mustDraw(t testing.TB, c *Config, req Request) *plan.Plan {
	t.Helper()
	p, err := c.Draw(req)
	if err != nil {
		t.Fatalf("Draw(%s) = %v", req.Name, err)
	}
	return p
}

// drawOne draws the blueprint b and returns its task.
func drawOne(t testing.TB, blueprint string) plan.Task {
	t.Helper()
	c, _ := mustLoad(t, one(blueprint))
	return mustDraw(t, c, request("b", commit())).Stages[0].Tasks[0]
}

// brokenTree fails like a disk would.
type brokenTree struct{}

var errDisk = errors.New("disk is gone")

func (brokenTree) List(string) ([]string, error) { return nil, errDisk }
func (brokenTree) Read(string) ([]byte, error)   { return nil, errDisk }

func TestLoadReportsTheTreesErrors(t *testing.T) {
	if _, _, err := Load(brokenTree{}); !errors.Is(err, errDisk) {
		t.Errorf("Load(broken tree) = %v; want %v", err, errDisk)
	}
}

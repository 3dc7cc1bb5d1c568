package app_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Every link of the documentation leads somewhere: to a file of the repository and,
// if it says so, to a heading there. Those to elsewhere are https.
func TestDocumentationLinks(t *testing.T) {
	links := 0
	for _, path := range pages(t) {
		for _, l := range readPage(t, path).links {
			links++
			if err := leads(t, path, l.to); err != nil {
				t.Errorf("%s:%d links to %s: %v", path, l.line, l.to, err)
			}
		}
	}
	if links < 100 {
		t.Errorf("only %d links were found", links)
	}
}

func leads(t *testing.T, from, to string) error {
	t.Helper()
	u, err := url.Parse(to)
	switch {
	case err != nil:
		return err
	case u.Scheme != "" && (u.Scheme != "https" || !strings.Contains(u.Host, ".") || u.User != nil):
		return fmt.Errorf("it is neither https nor within the repository")
	case u.Scheme != "":
		return nil
	case u.Host != "" || strings.HasPrefix(u.Path, "/"):
		return fmt.Errorf("it is an absolute path")
	}
	target := from
	if u.Path != "" {
		target = filepath.Join(filepath.Dir(from), u.Path)
	}
	if strings.HasPrefix(target, "..") {
		return fmt.Errorf("it leaves the repository")
	}
	if _, err := os.Stat(filepath.Join(top, target)); err != nil {
		return err
	}
	if u.Fragment != "" && (!strings.HasSuffix(target, ".md") || !readPage(t, target).anchors[u.Fragment]) {
		return fmt.Errorf("there is no such heading in %s", target)
	}
	return nil
}

// Every page of docs is reached from the path through them.
func TestEveryPageIsReached(t *testing.T) {
	const path = "docs/README.md"
	reached := map[string]bool{path: true}
	for _, l := range readPage(t, path).links {
		to, _, _ := strings.Cut(l.to, "#")
		reached[filepath.Join("docs", to)] = true
	}
	for _, page := range pages(t) {
		if filepath.Dir(page) == "docs" && !reached[page] {
			t.Errorf("%s does not lead to %s", path, page)
		}
	}
}

// With VELOCITY_LINKS=1 every link to elsewhere is followed, which needs a network;
// without it they are listed for who looks on with -v.
func TestExternalLinks(t *testing.T) {
	follow := os.Getenv("VELOCITY_LINKS") != ""
	seen := map[string]bool{}
	for _, path := range pages(t) {
		for _, l := range readPage(t, path).links {
			if !strings.HasPrefix(l.to, "https://") || seen[l.to] {
				continue
			}
			seen[l.to] = true
			t.Logf("%s:%d %s", path, l.line, l.to)
			if !follow {
				continue
			}
			if err := answers(t.Context(), l.to); err != nil {
				t.Errorf("%s:%d: %v", path, l.line, err)
			}
		}
	}
}

// answers asks for a page as a browser would, and wants it or another one instead.
func answers(ctx context.Context, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: 30 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", address, resp.Status)
	}
	return nil
}

package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// FetchOptions widens what FetchMirror may do. The zero value is for servers on
// the internet.
type FetchOptions struct {
	// Transports beyond https and ssh: "file" for local paths, "http" for servers
	// on a trusted network.
	Transports []string
	// Credential is shown to the server of the mirror's URL, for that URL alone,
	// and to nobody it redirects to.
	Credential Credential
	// Authorities is a PEM file of those whom alone https servers are believed;
	// "" means the system's.
	Authorities string
	// AcceptFaulty takes histories that git's own check of objects refuses, such
	// as ones with commits that old tools damaged.
	AcceptFaulty bool
}

// mirrorRefs are fetched, and refs that are gone at the source are deleted only
// inside them: refs/velocity is never touched by a fetch.
var mirrorRefs = []string{"+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"}

const mirrorConfig = `[core]
	repositoryformatversion = 0
	filemode = true
	bare = true
`

// FetchMirror brings the bare repository at dir, made if absent, up to date with
// the branches, tags and HEAD of url, and opens it. One fetch of a mirror may run
// at a time.
func FetchMirror(ctx context.Context, url, dir string, options FetchOptions) (*Repository, error) {
	transports, err := checkSource(url, options.Transports)
	if err != nil {
		return nil, fmt.Errorf("fetch mirror: %w", err)
	}
	if err := initMirror(dir); err != nil {
		return nil, fmt.Errorf("make mirror: %w", err)
	}
	r, err := Open(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("open mirror: %w", err)
	}
	access, secret, err := options.access(url)
	if err != nil {
		return nil, fmt.Errorf("fetch mirror: %w", err)
	}
	settings := append(append(transports, access...), durable)
	if !options.AcceptFaulty {
		settings = append(settings, "transfer.fsckObjects=true")
	}
	args := append([]string{"fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head",
		"--no-recurse-submodules", "--end-of-options", url}, mirrorRefs...)
	if _, err := r.run(ctx, command{options: settings, args: args, env: secret}); err != nil {
		return nil, fmt.Errorf("fetch mirror: %w", err)
	}
	if err := r.followHead(ctx, url, settings, secret); err != nil {
		return nil, fmt.Errorf("fetch mirror: %w", err)
	}
	return r, nil
}

// checkSource refuses what git would take for an option or for a command to run
// (a "helper::address"), and returns the settings that allow the transports.
func checkSource(url string, transports []string) ([]string, error) {
	helper, _, named := strings.Cut(url, "::")
	if url == "" || strings.HasPrefix(url, "-") || named && !strings.ContainsAny(helper, "/[") ||
		strings.ContainsFunc(url, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
		return nil, fmt.Errorf("%.200q is not a URL to fetch from", complaint(url))
	}
	var settings []string
	for _, name := range transports {
		if !slices.Contains([]string{"file", "http"}, name) {
			return nil, fmt.Errorf("transport %.40q is not known", name)
		}
		settings = append(settings, "protocol."+name+".allow=always")
	}
	return settings, nil
}

// initMirror makes a bare repository unless there is one. HEAD, by which git
// knows a repository, comes last.
func initMirror(dir string) error {
	head := filepath.Join(dir, "HEAD")
	if _, err := os.Stat(head); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var d disk
	for _, folder := range []string{"objects/info", "objects/pack", "refs/heads", "refs/tags"} {
		if err := d.folder(filepath.Join(dir, folder)); err != nil {
			return err
		}
	}
	if err := d.replace(filepath.Join(dir, "config"), []byte(mirrorConfig)); err != nil {
		return err
	}
	return d.replace(head, []byte("ref: refs/heads/main\n"))
}

// MakeBare opens the bare repository at dir, made if absent: one that holds refs
// of ours and no work of people.
func MakeBare(ctx context.Context, dir string) (*Repository, error) {
	if err := initMirror(dir); err != nil {
		return nil, fmt.Errorf("make repository: %w", err)
	}
	return Open(ctx, dir)
}

// followHead makes the mirror's HEAD name the source's default branch.
func (r *Repository) followHead(ctx context.Context, url string, settings, secret []string) error {
	out, err := r.run(ctx, command{
		options: settings, env: secret,
		args: []string{"ls-remote", "--symref", "--quiet", "--end-of-options", url, "HEAD"},
	})
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(out), "\n")
	target, ok := strings.CutPrefix(line, "ref: ")
	branch, name, _ := strings.Cut(target, "\t")
	if !ok || name != "HEAD" || !strings.HasPrefix(branch, "refs/heads/") || !readableRef(branch) {
		return nil // detached there, or nothing there yet
	}
	if current, _, err := r.Head(); err == nil && current == branch {
		return nil
	}
	return r.disk.replace(filepath.Join(r.commonDir, "HEAD"), []byte("ref: "+branch+"\n"))
}

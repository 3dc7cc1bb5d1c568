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
	// Head is the full name of the default branch; "" asks the source for it.
	Head string
	// Refs are full names of further refs that are fetched as they are called, as
	// far as the source has them, such as heads of pull requests. Those that are
	// gone there stay here. They are below refs/ and not one of ours, a branch or a
	// tag.
	Refs []string
	// Commit is asked for by its id if it is not here after that; Zero for none.
	// Nothing keeps it from being collected some weeks later.
	Commit Hash
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
// the branches, tags and HEAD of url, and what else the options ask for, and opens
// it. Branches and tags that are gone at url go here, and nothing else does. One
// fetch of a mirror may run at a time.
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
	m := mirroring{r, url, settings, secret}
	if err := m.fetch(ctx, options); err != nil {
		return nil, fmt.Errorf("fetch mirror: %w", err)
	}
	return r, nil
}

// mirroring is one fetch of a mirror.
type mirroring struct {
	*Repository
	url              string
	settings, secret []string
}

func (m mirroring) fetch(ctx context.Context, options FetchOptions) error {
	for _, ref := range options.Refs {
		if err := checkMirrored(ref); err != nil {
			return err
		}
	}
	head, there := options.Head, []string(nil)
	if head == "" || len(options.Refs) > 0 {
		var err error
		if head, there, err = m.ask(ctx, options.Refs); err != nil {
			return err
		}
	}
	if options.Head != "" {
		head = options.Head
	}
	specs := slices.Clone(mirrorRefs)
	for _, ref := range there {
		specs = append(specs, "+"+ref+":"+ref)
	}
	if err := m.run(ctx, specs, "--prune"); err != nil {
		return err
	}
	if !options.Commit.IsZero() {
		if _, err := m.Peel(options.Commit); errors.Is(err, ErrObjectNotFound) {
			// Whoever asked looks for it and says what it is missing for.
			_ = m.run(ctx, []string{options.Commit.String()})
		}
	}
	return m.follow(head)
}

// checkMirrored refuses refs that a mirror has for other reasons.
func checkMirrored(ref string) error {
	for _, prefix := range append([]string{"refs/heads/", "refs/tags/", "refs/notes/"}, "refs/velocity/") {
		if strings.HasPrefix(ref, prefix) {
			return fmt.Errorf("%s is not fetched on its own", ref)
		}
	}
	return checkRefName(ref)
}

// run fetches, with the names of what to fetch given apart: they may be many.
func (m mirroring) run(ctx context.Context, specs []string, options ...string) error {
	args := append([]string{"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--stdin"}, options...)
	_, err := m.Repository.run(ctx, command{
		options: m.settings, env: m.secret, args: append(args, "--end-of-options", m.url),
		stdin: strings.NewReader(strings.Join(specs, "\n") + "\n"),
	})
	return err
}

// ask finds the source's default branch, "" if it says none, and which of refs it
// has.
func (m mirroring) ask(ctx context.Context, refs []string) (head string, there []string, err error) {
	out, err := m.Repository.run(ctx, command{
		options: m.settings, env: m.secret,
		args: append([]string{"ls-remote", "--symref", "--quiet", "--end-of-options", m.url, "HEAD"}, refs...),
	})
	if err != nil {
		return "", nil, err
	}
	for line := range strings.Lines(string(out)) {
		what, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		target, symbolic := strings.CutPrefix(what, "ref: ")
		switch {
		case symbolic && name == "HEAD":
			head = target
		case slices.Contains(refs, name) && !slices.Contains(there, name):
			there = append(there, name)
		}
	}
	return head, there, nil
}

// follow makes the mirror's HEAD name the source's default branch.
func (m mirroring) follow(branch string) error {
	if !strings.HasPrefix(branch, "refs/heads/") || !readableRef(branch) {
		return nil // detached there, or nothing there yet
	}
	if current, _, err := m.Head(); err == nil && current == branch {
		return nil
	}
	return m.disk.replace(filepath.Join(m.commonDir, "HEAD"), []byte("ref: "+branch+"\n"))
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

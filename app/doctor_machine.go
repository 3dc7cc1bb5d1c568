package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/velocity-ci/velocity/builder/docker"
	"github.com/velocity-ci/velocity/builder/executor"
	"github.com/velocity-ci/velocity/storage/git"
)

// git looks at the program that fetches, packs and serves.
func (d *doctor) git(ctx context.Context) []symptom {
	text, tried, err := git.Version(ctx)
	switch {
	case err != nil:
		return []symptom{problem("%v", err).mend("install git and see that it is in the PATH of the server")}
	case !tried:
		return []symptom{warning("git %s is older than what Velocity was tried with", text).mend("install git 2.39 or newer")}
	}
	return []symptom{fine("git %s", text)}
}

// state looks whether the server's own folder is there, and for whom.
func (d *doctor) state(context.Context) []symptom {
	folder, err := d.c.stateFolder(d.conf.State)
	if err != nil {
		return []symptom{problem("%v", err).mend("state in the configuration, or --state, names a folder")}
	}
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return []symptom{skipped("%s is not there: the first velocity serve that listens makes it", folder)}
	}
	var found []symptom
	for _, path := range []string{folder, filepath.Join(folder, appFile)} {
		if s, there := private(path); there {
			found = append(found, s)
		}
	}
	for _, s := range found {
		if s.Verdict != verdictFine {
			return found
		}
	}
	return []symptom{fine("%s belongs to this user, and nobody else can read what is secret in it", folder)}
}

// private looks whether a file or folder of secrets is open to others, or somebody
// else's; there is false if there is none.
func private(path string) (s symptom, there bool) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, false
	}
	if err != nil {
		return problem("%v", err).mend("see that the server's user may read it"), true
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
		return problem("%s belongs to uid %d, and this is uid %d", path, owner.Uid, os.Geteuid()).
			mend("run velocity doctor as the server's user, or chown -R the folder to that"), true
	}
	if open := info.Mode().Perm() & 0o077; open != 0 {
		return problem("%s can be opened by others: its mode is %04o", path, info.Mode().Perm()).mend("chmod go= %s", path), true
	}
	return fine("%s", path), true
}

const (
	// scarce is the free space, in bytes and as a part of the whole, below which a
	// disk is about to be full; leastRoom is where it counts as full.
	scarce     = 1 << 30
	scarcePart = 20
	// scarceFiles is the same of files that can be made.
	scarceFiles = 10_000
)

// disks looks for room where the state, repositories and logs of attempts are.
func (d *doctor) disks(ctx context.Context) []symptom {
	var found []symptom
	seen := map[uint64]bool{}
	for _, folder := range d.folders(ctx) {
		info, err := os.Stat(folder)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			if stat, ok := info.Sys().(*syscall.Stat_t); ok && seen[uint64(stat.Dev)] { //nolint:unconvert // other systems have other types here
				continue
			} else if ok {
				seen[uint64(stat.Dev)] = true //nolint:unconvert // likewise
			}
		}
		left, err := roomOf(folder)
		if err != nil {
			found = append(found, problem("%v", err).mend("see whether the file system is mounted"))
			continue
		}
		found = append(found, judgeRoom(folder, left))
	}
	if len(found) == 0 {
		return []symptom{skipped("there is no folder of ours yet")}
	}
	return found
}

// folders are where a server writes.
func (d *doctor) folders(ctx context.Context) []string {
	var all []string
	if state, err := d.c.stateFolder(d.conf.State); err == nil {
		all = append(all, state)
	}
	for _, path := range d.conf.paths() {
		if repo, err := openRepository(ctx, path); err == nil { // else repositories says so
			all = append(all, repo.CommonDir())
		}
	}
	return append(all, d.c.cacheFolder())
}

// judgeRoom says whether what is left on a disk is enough.
func judgeRoom(folder string, left room) symptom {
	const how = "free some space, or say with keep how much is kept: docs/retention.md"
	switch {
	case left.bytes < leastRoom:
		return problem("%s: the disk is full: %d MiB are left", folder, left.bytes>>20).mend(how)
	case left.files == 0:
		return problem("%s: no more files can be made: the disk has no inodes left", folder).mend(how)
	case left.bytes < scarce && left.bytes < left.of/scarcePart:
		return warning("%s: the disk is nearly full: %d MiB of %d MiB are left", folder, left.bytes>>20, left.of>>20).mend(how)
	case left.files < scarceFiles:
		return warning("%s: %d more files can be made: the disk has few inodes left", folder, left.files).mend(how)
	}
	return fine("%s: %d MiB of %d MiB are left", folder, left.bytes>>20, left.of>>20)
}

// docker looks for the engine, if steps may run in it here.
func (d *doctor) docker(ctx context.Context) []symptom {
	app, err := d.c.appOf(d.conf)
	if err != nil {
		app = nil // github says so
	}
	forged := d.conf.forged(app != nil)
	on, err := d.conf.executes(forged, true)
	if err != nil {
		return []symptom{problem("%v", err).mend("builder.executor is host or docker")}
	}
	if !on.docker || !d.conf.embeds(forged) {
		return []symptom{skipped("no builder of this server runs steps in containers")}
	}
	engine, err := docker.New(docker.Config{Log: silent()})
	if err == nil {
		err = engine.Available(ctx)
	}
	if err != nil {
		return []symptom{warning("steps with an image cannot run here: %v", err).
			mend("start Docker and let this user reach it, or say builder.executor: host if no step names an image")}
	}
	found := []symptom{aged(engine.Floor(ctx))}
	found = append(found, d.shown(ctx, engine, forged)...)
	for _, plugin := range []struct{ name, steps string }{{"docker-buildx", "build"}, {"docker-compose", "compose"}} {
		if path := d.c.dockerPlugin(plugin.name); path != "" {
			found = append(found, fine("%s is %s", plugin.name, path))
		} else {
			found = append(found, warning("the plugin %s is not here: steps of the type %s are limited or cannot run", plugin.name, plugin.steps).
				mend("install the package %s-plugin of Docker", plugin.name))
		}
	}
	return found
}

// aged says what Floor found out about an engine. The builder of a server gets no code
// of strangers, so that an old one is no problem there.
func aged(err error) symptom {
	var old *executor.StartError
	if errors.As(err, &old) {
		return warning("%s", old.What).mend("%s", old.Hint)
	}
	return fine("the engine answers, and is new enough for code of strangers")
}

// shown looks whether an engine can show containers what steps see: workspaces, and
// the repositories that these borrow from. It can, unless this is a container itself.
func (d *doctor) shown(ctx context.Context, engine *docker.Executor, forged bool) (found []symptom) {
	state, err := d.c.stateFolder(d.conf.State)
	for _, folder := range d.folders(ctx) {
		if err == nil && folder == state && !forged { // then there are no mirrors in it
			continue
		}
		if hidden := unshown(ctx, engine, folder); hidden != nil {
			found = append(found, problem("steps with an image cannot see their files: %v", hidden).mend("%s", hidden.advice))
		}
	}
	return found
}

// cacheFolder is where builders keep their files.
func (c *cli) cacheFolder() string {
	base := c.env["XDG_CACHE_HOME"]
	if base == "" {
		base = filepath.Join(c.env["HOME"], ".cache")
	}
	return filepath.Join(base, "velocity")
}

// inQuotes is a list of words for people.
func inQuotes(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return fmt.Sprintf("%q", words)
}

package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sync/errgroup"

	"github.com/velocity-ci/velocity/hooks"
)

// How soon refs are looked at. The hook tells of a push at once; what the file
// system tells is the safety net, and waits for the hook, which alone knows what
// the push asked for.
const (
	settleAlone    = 50 * time.Millisecond
	settleWithHook = 3 * time.Second
	sweepRefs      = time.Minute
)

// restEvery is how long what was read of a repository is remembered at least, if there
// is room for it.
const restEvery = time.Minute

// watch looks at the refs of the repositories that people push to at once, when they change, and now
// and then.
func (s *service) watch(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, h := range s.houses.list() {
		group.Go(func() error { return s.watchRefs(ctx, h) })
	}
	return group.Wait()
}

func (s *service) watchRefs(ctx context.Context, h *served) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch refs of %s: %w", h.site.Called(), err)
	}
	defer w.Close()
	git := h.repo.CommonDir()
	for _, dir := range []string{git, filepath.Join(git, "refs", "heads"), filepath.Join(git, "refs", "tags")} {
		if err := watchBelow(w, dir, dir != git); err != nil {
			s.log.Warn("refs are looked at only now and then", "repo", h.site.Called(), "err", err)
		}
	}
	h.site.Look()
	sweep := time.NewTicker(sweepRefs)
	defer sweep.Stop()
	settle := time.NewTimer(0)
	<-settle.C
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-w.Events:
			if e.Has(fsnotify.Create) {
				_ = watchBelow(w, e.Name, true) // if it is a folder of refs that is gone again, nothing is missed
			}
			if concernsRefs(git, e.Name) {
				settle.Reset(settleTime(git))
			}
		case err := <-w.Errors:
			s.log.Warn("watch refs", "repo", h.site.Called(), "err", err)
			settle.Reset(settleAlone)
		case <-settle.C:
			h.site.Look()
		case <-sweep.C:
			h.site.Look()
		}
	}
}

// rest has repositories forget, once a minute, what nobody has read for one.
func (s *service) rest(ctx context.Context) {
	turn := time.NewTicker(restEvery)
	defer turn.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-turn.C:
			for _, h := range s.houses.list() {
				h.repo.Rest()
			}
		}
	}
}

// watchBelow watches a folder, and with deep those within it.
func watchBelow(w *fsnotify.Watcher, dir string, deep bool) error {
	if !deep {
		return w.Add(dir)
	}
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !entry.IsDir() {
			return err
		}
		return w.Add(path)
	})
}

// concernsRefs reports whether a file that changed in the git directory may be a
// branch or tag, or hold some.
func concernsRefs(git, name string) bool {
	rel, err := filepath.Rel(git, name)
	if err != nil || strings.HasSuffix(rel, ".lock") {
		return false
	}
	return rel == "packed-refs" || strings.HasPrefix(filepath.ToSlash(rel), "refs/")
}

// settleTime is how long to wait after a change for others, or for the hook.
func settleTime(git string) time.Duration {
	if text, err := os.ReadFile(filepath.Join(git, "hooks", "post-receive")); err == nil && strings.Contains(string(text), hooks.Mark) {
		return settleWithHook
	}
	return settleAlone
}

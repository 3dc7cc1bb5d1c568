//go:build linux

package chaos

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage"
)

// A push is one that git accepted.
type push struct{ commit, ref string }

// pushEvery is the pace of the pushes.
const pushEvery = time.Second

// pushUntil pushes a commit each second, each to a branch of its own, until done.
// Nobody but the repository hears of it: it goes on while there is no architect.
func (y *yard) pushUntil(done <-chan struct{}, random *rand.Rand) (pushes []push) {
	tick := time.NewTicker(pushEvery)
	defer tick.Stop()
	dir := filepath.Join(y.root, "seed")
	for n := 1; ; n++ {
		select {
		case <-tick.C:
		case <-done:
			return pushes
		}
		wait := 100 + random.IntN(1500)
		if random.IntN(3) == 0 { // so long that a frozen builder wakes beside the next attempt
			wait = 4000 + random.IntN(5000)
		}
		if err := os.WriteFile(filepath.Join(dir, "wait"), fmt.Appendf(nil, "%d.%03d\n", wait/1000, wait%1000), 0o666); err != nil {
			y.t.Error(err)
			return pushes
		}
		ref := fmt.Sprintf("refs/heads/push/%d", n)
		for _, args := range [][]string{{"commit", "-qam", ref, "--allow-empty"}, {"push", "-q", y.bare, "HEAD:" + ref}} {
			if out, err := y.command(dir, "git", args...).CombinedOutput(); err != nil {
				y.t.Errorf("git %v: %v\n%s", args, err, out)
				return pushes
			}
		}
		commit, err := y.command(dir, "git", "rev-parse", "HEAD").Output()
		if err != nil {
			y.t.Error(err)
			return pushes
		}
		pushes = append(pushes, push{strings.TrimSpace(string(commit)), ref})
	}
}

// A witness looks at the builds while things break, as a user would, and
// remembers what it saw.
type witness struct {
	y       *yard
	over    map[build.ID]build.State // final states, as seen first
	stop    chan struct{}
	looking sync.WaitGroup
}

// look lists the newest builds again and again until end.
func (y *yard) look() *witness {
	w := &witness{y: y, over: map[build.ID]build.State{}, stop: make(chan struct{})}
	w.looking.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				w.compare(y.listed(40))
			case <-w.stop:
				return
			}
		}
	})
	return w
}

// end looks a last time, at everything.
func (w *witness) end() {
	close(w.stop)
	w.looking.Wait()
	w.compare(w.y.listed(1 << 20))
}

func (w *witness) compare(all []*build.Build) {
	for _, b := range all {
		seen, known := w.over[b.ID]
		switch now := b.State(); {
		case !known && now.Final():
			w.over[b.ID] = now
		case known && seen != now:
			w.y.findings.add("I2", "build %s was %s and is %s", b.ID, seen, now)
		}
	}
}

// listed are the newest builds, as `velocity builds` shows them.
func (y *yard) listed(limit int) []*build.Build {
	out, err := y.command(y.root, y.program, "builds", "--json", "--repo", y.bare, "--limit", strconv.Itoa(limit)).Output()
	if err != nil {
		y.t.Errorf("list builds: %v", err)
		return nil
	}
	var records []json.RawMessage
	if err := json.Unmarshal(out, &records); err != nil {
		y.t.Errorf("list builds: %v", err)
	}
	var all []*build.Build
	for _, record := range records {
		b, err := storage.DecodeBuild(record)
		if err != nil {
			y.t.Errorf("list builds: %v", err)
			continue
		}
		all = append(all, b)
	}
	return all
}

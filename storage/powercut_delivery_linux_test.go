package storage_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/delivery"
	"github.com/velocity-ci/velocity/storage/git"
)

func init() { roles["deliveries"] = acceptForEver }

// acceptForEver takes deliveries in, whose keys begin with its second argument.
func acceptForEver(c *child) error {
	repo, err := git.Open(context.Background(), c.dir)
	if err != nil {
		return err
	}
	inbox := delivery.Open(repo, time.Now)
	return inThree(1<<30, func(n int) error {
		d := delivery.Delivery{Forge: "github", Key: fmt.Sprintf("%s-%d", c.commits[0], n), Body: fmt.Append(nil, n), Received: time.Now()}
		if err := inbox.Accept(context.Background(), d); err != nil {
			return err
		}
		c.say("delivery", d.Key)
		return nil
	})
}

// TestPowerCutKeepsDeliveries: what was answered is there when the power is back.
// TestPowerCutWithGoGit is the control of this one, too.
func TestPowerCutKeepsDeliveries(t *testing.T) {
	p := newPowered(t)
	dir := filepath.Join(p.dir, "architect.git")
	if _, err := git.MakeBare(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	unix.Sync()
	said := map[string]bool{}
	for trial := range trials() {
		a := p.cutDuring(t, "deliveries", dir, []plan.Commit{plan.Commit(fmt.Sprint("trial-", trial))})
		p.reboot(t)
		for line := range a.said {
			if key, ok := strings.CutPrefix(line, "delivery "); ok {
				said[key] = true
			}
		}
		repo, err := git.Open(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		inbox := delivery.Open(repo, time.Now)
		if err := inbox.Recover(); err != nil {
			t.Fatal(err)
		}
		for key := range said {
			_, number, _ := strings.Cut(strings.TrimPrefix(key, "trial-"), "-")
			if d, err := inbox.Read(t.Context(), key); err != nil || string(d.Body) != number {
				t.Errorf("%s was accepted; its body is %q, %v", key, d.Body, err)
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d power cuts, %d deliveries", trials(), len(said))
}

package app_test

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// How many processes TestKill kills.
const (
	manyKills = 200
	fewKills  = 60 // with -short
)

// How long a server lives before it is killed: from before it has looked into the
// inbox to some builds later.
const longestLife = 400 * time.Millisecond

// TestKill kills servers and hooks at any moment, under a stream of pushes, and
// then asks of the repository what Velocity promises: every push that git took
// has one result, nothing ran twice under one number, and nothing is left over.
func TestKill(t *testing.T) {
	if testing.Short() {
		storm(t, fewKills)
		return
	}
	storm(t, manyKills)
}

func storm(t *testing.T, kills int) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	y := newYard(t)
	pushers := y.startPushers(4, random.Uint64())
	y.weather(kills, random)
	pushers.end()
	y.calm()
	t.Logf("%d pushes of %d refs, %d attempts begun", len(pushers.pushes), pushers.refs(), len(y.trace()))
	y.checkNotes(pushers.pushes)
	y.checkBuilds()
	y.checkTrace()
	y.checkRefs()
	y.fsck()
	y.checkProcesses()
	y.checkFolders()
}

// weather kills something of ours, again and again, and lets the server come back.
func (y *yard) weather(kills int, random *rand.Rand) {
	y.t.Helper()
	var server *serverProcess
	for killed, looked := 0, 0; killed < kills; {
		if server == nil {
			server = y.serve("serve", "--repo", y.bare)
		}
		select {
		case <-time.After(time.Duration(random.Int64N(int64(longestLife)))):
		case <-server.ended:
			y.t.Fatalf("the server ended by itself: %v\n%s", server.err, y.serverLog())
		}
		if killed >= looked {
			y.fsckFrozen()
			looked += kills / 10
		}
		hooks := 0
		switch dice := random.IntN(10); {
		case dice < 2:
			hooks = y.kill(random, "hook", "post-receive")
		case dice < 4:
			hooks = y.kill(random, "hook", "serve")
		}
		if killed += hooks; hooks > 0 {
			continue
		}
		server.kill()
		server = nil
		killed++
		if random.IntN(3) == 0 { // for a while the hooks are on their own
			<-time.After(time.Duration(random.Int64N(int64(longestLife))))
			killed += y.kill(random, "hook", "serve")
		}
	}
	if server != nil {
		server.kill()
	}
}

// calm lets a last server finish what is left.
func (y *yard) calm() {
	y.t.Helper()
	last := y.serve("serve", "--repo", y.bare, "--once")
	select {
	case <-last.ended:
	case <-time.After(patience):
		_ = last.cmd.Process.Signal(os.Interrupt)
		<-last.ended
		y.t.Errorf("the last server does not come to an end\n%s", y.serverLog())
	}
	if code := last.cmd.ProcessState.ExitCode(); code > 1 { // 1: a build failed, killed too often
		y.t.Errorf("the last server ended with status %d\n%s", code, y.serverLog())
	}
}

package host

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/velocity-ci/velocity/builder/executor"
)

// A group is what one command started: its leader, which is the command itself,
// and everything that came of it.
type group struct {
	leader   int // process id, and the id of its group and session
	mark     string
	headless bool // the leader has ended and was waited for; guarded by started
}

// started holds the groups of this process whose commands have not been
// finished. The lock is held while a command is started, so that whoever looks
// at the children of this process knows them all; forking is serial anyway.
var started = struct {
	sync.Mutex
	groups map[*group]bool
}{groups: make(map[*group]bool)}

// start starts cmd as the leader of a new group.
func start(cmd *exec.Cmd, mark string) (*group, error) {
	adoptOrphans()
	started.Lock()
	defer started.Unlock()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	g := &group{leader: cmd.Process.Pid, mark: mark}
	started.groups[g] = true
	return g, nil
}

// wait waits for the leader.
func (g *group) wait(cmd *exec.Cmd) {
	_ = cmd.Wait() // how it ended is in cmd.ProcessState
	started.Lock()
	defer started.Unlock()
	g.headless = true
}

// led reports whether the leader has not been waited for: until then its id is
// not anyone else's.
func (g *group) led() bool {
	started.Lock()
	defer started.Unlock()
	return !g.headless
}

// forget says that the group has ended.
func (g *group) forget() {
	started.Lock()
	defer started.Unlock()
	delete(started.groups, g)
}

const (
	// lookAgain is how long to wait for news of processes that are ending and
	// whose end is not told to us, because they are not our children.
	lookAgain = 20 * time.Millisecond

	// stubborn is how long a killed process may take, be it to write its memory
	// out to a slow disk.
	stubborn = 10 * time.Second
)

// end ends what is left of a group whose leader has ended.
func (g *group) end(grace time.Duration) error {
	if !g.alive() {
		return nil
	}
	g.signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	return g.outlast(timer.C)
}

// outlast waits for a group that was asked to end, and kills it when late.
func (g *group) outlast(late <-chan time.Time) error {
	if g.await(late, func() {}) {
		return nil
	}
	return g.kill()
}

// kill ends the group, including what its processes start while they die.
func (g *group) kill() error {
	timer := time.NewTimer(stubborn)
	defer timer.Stop()
	if g.await(timer.C, func() { g.signal(syscall.SIGKILL) }) {
		return nil
	}
	return fmt.Errorf("%w: processes of %s outlive being killed", executor.ErrEngine, g.mark)
}

// await reports whether the group ended before late. As long as it has not, act
// is called whenever something may have changed.
func (g *group) await(late <-chan time.Time, act func()) bool {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGCHLD)
	defer signal.Stop(changed)
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for g.alive() {
		act()
		select {
		case <-changed:
		case <-again.C:
		case <-late:
			return !g.alive()
		}
	}
	return true
}

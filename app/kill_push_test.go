package app_test

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
)

// A push is one that git accepted.
type push struct {
	id     string
	commit string
	refs   []string
}

// pushers push from clones, each in its own.
type pushers struct {
	y    *yard
	stop chan struct{}
	once sync.Once
	all  sync.WaitGroup

	mu     sync.Mutex
	pushes []push
}

func (y *yard) startPushers(n int, seed uint64) *pushers {
	y.t.Helper()
	p := &pushers{y: y, stop: make(chan struct{})}
	y.t.Cleanup(p.end)
	for i := range n {
		name := "clone" + strconv.Itoa(i)
		y.must(y.root, "git", "clone", "-q", y.bare, name)
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		p.all.Go(func() {
			for k := 0; p.going(); k++ {
				p.push(name, k, random)
			}
		})
	}
	return p
}

func (p *pushers) going() bool {
	select {
	case <-p.stop:
		return false
	default:
		return !p.y.t.Failed()
	}
}

// end waits until everybody has pushed.
func (p *pushers) end() {
	p.once.Do(func() { close(p.stop) })
	p.all.Wait()
}

func (p *pushers) refs() int {
	n := 0
	for _, push := range p.pushes {
		n += len(push.refs)
	}
	return n
}

// push pushes one new commit to one branch or several, and waits for the builds
// or not.
func (p *pushers) push(clone string, k int, random *rand.Rand) {
	dir := filepath.Join(p.y.root, clone)
	id := clone + "-" + strconv.Itoa(k)
	refs := []string{"refs/heads/" + clone}
	for i := range random.IntN(3) - 1 {
		refs = append(refs, fmt.Sprintf("refs/heads/more/%s-%d", id, i))
	}
	args := []string{"push", "-q"}
	if random.IntN(4) > 0 {
		args = append(args, "-o", "velocity.detach")
	}
	args = append(args, p.y.bare)
	for _, ref := range refs {
		args = append(args, "HEAD:"+ref)
	}
	if out, err := p.y.output(p.y.command(dir, "git", "commit", "-q", "--allow-empty", "-m", id)); err != nil {
		p.y.t.Errorf("commit %s: %v\n%s", id, err, out)
		return
	}
	commit, err := p.y.output(p.y.command(dir, "git", "rev-parse", "HEAD"))
	if err != nil {
		p.y.t.Errorf("find commit of %s: %v", id, err)
		return
	}
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = dir, append(p.y.environment(), "YARD_PUSH="+id)
	out, err := p.y.output(cmd)
	if err != nil {
		p.y.t.Errorf("push %s: %v\n%s", id, err, out)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pushes = append(p.pushes, push{id: id, commit: string(commit[:len(commit)-1]), refs: refs})
}

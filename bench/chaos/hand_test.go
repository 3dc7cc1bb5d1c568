//go:build linux

package chaos

import (
	"math/rand/v2"
	"sync"
	"syscall"
	"time"
)

// A fault is something that the hand does, with all its dice cast. strike returns
// once it is healed.
type fault struct {
	kind   string
	on     *machine
	strike func()
}

// A healing is the moment at which a fault was over.
type healing struct {
	kind string
	at   time.Time
}

// A hand breaks things, one at a time on each machine. What it does in which order
// follows from its seed; how that meets the work does not.
type hand struct {
	y      *yard
	random *rand.Rand

	mu       sync.Mutex
	busy     map[*machine]bool
	healings []healing
	striking sync.WaitGroup
}

// kinds are all faults, by what makes one of them with random numbers, and how
// often they are taken.
var kinds = []struct {
	name   string
	weight int
	make   func(h *hand) (on *machine, strike func())
}{
	{"kill builder", 4, (*hand).killBuilder},
	{"kill architect and NATS", 2, (*hand).killArchitect},
	{"freeze builder past its lease", 6, (*hand).freezeBuilder},
	{"freeze architect", 1, (*hand).freezeArchitect},
	{"partition", 5, (*hand).partition},
	{"reset connections", 2, (*hand).reset},
	{"delay", 2, (*hand).delay},
	{"full disk", 2, (*hand).fillDisk},
	{"drain and restart", 2, (*hand).drain},
}

// play breaks things until done, and returns when all is healed.
func (h *hand) play(done <-chan time.Time) {
	for {
		pause := h.between(500, 2500)
		select {
		case <-time.After(pause):
		case <-done:
			h.striking.Wait()
			return
		}
		f := h.draw()
		if f.on == nil || !h.take(f.on) {
			continue
		}
		h.striking.Go(func() {
			f.strike()
			h.healed(f)
		})
	}
}

// draw casts the dice for one fault.
func (h *hand) draw() fault {
	sum := 0
	for _, k := range kinds {
		sum += k.weight
	}
	dice := h.random.IntN(sum)
	for _, k := range kinds {
		if dice -= k.weight; dice < 0 {
			on, strike := k.make(h)
			return fault{k.name, on, strike}
		}
	}
	panic("the weights add up to more than their sum")
}

func (h *hand) take(m *machine) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy[m] {
		return false
	}
	h.busy[m] = true
	return true
}

func (h *hand) healed(f fault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.busy[f.on] = false
	h.healings = append(h.healings, healing{f.kind, time.Now()})
}

// between draws a time in milliseconds.
func (h *hand) between(from, to int) time.Duration {
	return time.Duration(from+h.random.IntN(to-from)) * time.Millisecond
}

func (h *hand) builder() *machine { return h.y.builders[h.random.IntN(len(h.y.builders))] }

func (h *hand) killBuilder() (*machine, func()) { return h.kill(h.builder()) }

func (h *hand) killArchitect() (*machine, func()) { return h.kill(h.y.architect) }

func (h *hand) kill(m *machine) (*machine, func()) {
	away := h.between(0, 3000)
	return m, func() {
		m.end(syscall.SIGKILL)
		<-time.After(away)
		m.start()
	}
}

func (h *hand) freezeBuilder() (*machine, func()) { return freeze(h.builder(), h.between(7000, 12000)) }

func (h *hand) freezeArchitect() (*machine, func()) {
	return freeze(h.y.architect, h.between(500, 8000))
}

func freeze(m *machine, frozen time.Duration) (*machine, func()) {
	return m, func() {
		m.signal(syscall.SIGSTOP)
		<-time.After(frozen)
		m.signal(syscall.SIGCONT)
	}
}

// partition cuts one direction or both. Then what was held back arrives, late, or
// the connections are found to be broken.
func (h *hand) partition() (*machine, func()) {
	m, sides, broken, parted := h.builder(), 1+h.random.IntN(3), h.random.IntN(2) == 0, h.between(1000, 11000)
	return m, func() {
		m.line.set(flow{cut: sides&1 > 0}, flow{cut: sides&2 > 0})
		<-time.After(parted)
		if broken {
			m.line.reset()
		}
		m.line.set(flow{}, flow{})
	}
}

func (h *hand) reset() (*machine, func()) {
	m := h.builder()
	return m, m.line.reset
}

func (h *hand) delay() (*machine, func()) {
	m, late, slow := h.builder(), h.between(20, 600), h.between(2000, 6000)
	return m, func() {
		m.line.set(flow{delay: late}, flow{delay: late})
		<-time.After(slow)
		m.line.set(flow{}, flow{})
	}
}

// fillDisk leaves the last builder no room for logs and results.
func (h *hand) fillDisk() (*machine, func()) {
	full := h.between(1000, 6000)
	if h.y.disk == nil {
		return nil, nil
	}
	return h.y.builders[len(h.y.builders)-1], func() {
		if err := h.y.disk.fill(); err != nil {
			h.y.t.Errorf("fill the disk: %v", err)
		}
		<-time.After(full)
		if err := h.y.disk.empty(); err != nil {
			h.y.t.Errorf("empty the disk: %v", err)
		}
	}
}

func (h *hand) drain() (*machine, func()) {
	m := h.builder()
	return m, func() {
		if status := m.end(syscall.SIGTERM); status != 0 {
			h.y.findings.add("process", "%s, drained, ends with status %d\n%s", m.name, status, m.said(0))
		}
		m.start()
	}
}

package architect

import "time"

// A Member is a builder that is connected, as people are shown it.
type Member struct {
	Since    time.Time // when it came, or came back after it was lost
	Heard    time.Time // its last sign of life
	Capacity int       // attempts that it runs at the same time
	Busy     int       // attempts that it was given and that are not over
	Reason   string    // why it takes nothing new, in its own words; "" if it does
}

// Members are the builders that are connected, by name.
func (a *Architect) Members() map[string]Member {
	a.mu.Lock()
	defer a.mu.Unlock()
	busy := map[string]int{}
	for _, w := range a.works {
		for _, f := range w.flights {
			busy[f.builder]++
		}
	}
	all := map[string]Member{}
	for name, m := range a.builders {
		all[name] = Member{
			Since: m.since, Heard: m.seen, Capacity: m.said.Capacity, Busy: busy[name], Reason: m.said.Reason,
		}
	}
	return all
}

// shun gives a builder nothing new until its next sign of life says otherwise. The
// lock is held.
func (a *Architect) shun(builder, reason string) {
	if m := a.builders[builder]; m != nil {
		m.capacity, m.said.Reason = 0, reason
	}
}

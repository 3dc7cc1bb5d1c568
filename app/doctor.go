package app

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/velocity-ci/velocity/app/client"
)

// A verdict is what an examination says of one thing.
type verdict string

// The verdicts, the best first.
const (
	verdictFine    verdict = "ok"
	verdictSkipped verdict = "skipped" // it could not be looked at, which is no fault
	verdictWarning verdict = "warning" // it works, and something will go wrong
	verdictProblem verdict = "problem"
)

// A symptom is what the doctor found out about one thing.
type symptom struct {
	Check   string  `json:"check"`
	Verdict verdict `json:"verdict"`
	Found   string  `json:"found"`
	Mend    string  `json:"mend,omitempty"` // how; "" if there is nothing to mend
}

func fine(format string, args ...any) symptom {
	return symptom{Verdict: verdictFine, Found: fmt.Sprintf(format, args...)}
}

func skipped(format string, args ...any) symptom {
	return symptom{Verdict: verdictSkipped, Found: fmt.Sprintf(format, args...)}
}

func warning(format string, args ...any) symptom {
	return symptom{Verdict: verdictWarning, Found: fmt.Sprintf(format, args...)}
}

func problem(format string, args ...any) symptom {
	return symptom{Verdict: verdictProblem, Found: fmt.Sprintf(format, args...)}
}

// mend adds what a person can do about it.
func (s symptom) mend(format string, args ...any) symptom {
	s.Mend = fmt.Sprintf(format, args...)
	return s
}

// A doctor looks at a server, or at what one would run with.
type doctor struct {
	c      *cli
	conf   *serverConfig
	server *client.Client // on another machine; nil: what is here is examined
	within time.Duration  // for each examination
}

// An examination looks at one thing, or at several of a kind.
type examination struct {
	name string
	look func(ctx context.Context) []symptom
}

// examinations are those that make sense where the doctor is.
func (d *doctor) examinations() []examination {
	if d.server != nil {
		return []examination{
			{"git", d.git},
			{"server", d.serverHealth},
			{"token", d.token},
			{"builders", d.builders},
		}
	}
	return []examination{
		{"git", d.git},
		{"repository", d.repositories},
		{"state", d.state},
		{"disk", d.disks},
		{"docker", d.docker},
		{"tls", d.certificate},
		{"server", d.localServer},
		{"address", d.address},
		{"github", d.github},
		{"gitlab", d.gitlab},
		{"deliveries", d.deliveries},
		{"builders", d.builders},
	}
}

// atOnce bounds the examinations under way.
const atOnce = 4

// examine carries out all examinations and returns what was found, in their order.
func (d *doctor) examine(ctx context.Context) []symptom {
	all := d.examinations()
	found := make([][]symptom, len(all))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, e := range all {
		group.Go(func() error { found[i] = d.bounded(ctx, e); return nil })
	}
	_ = group.Wait() // none has an error
	var list []symptom
	for i, symptoms := range found {
		for _, s := range symptoms {
			s.Check = all[i].name
			list = append(list, s)
		}
	}
	return list
}

// bounded is what an examination finds in its time. One that hangs in the kernel, as
// on a file system whose server is gone, is left behind: the process ends soon.
func (d *doctor) bounded(ctx context.Context, e examination) []symptom {
	ctx, cancel := context.WithTimeout(ctx, d.within)
	defer cancel()
	over := make(chan []symptom, 1)
	go func() { over <- e.look(ctx) }()
	select {
	case found := <-over:
		return found
	case <-ctx.Done():
	}
	select {
	case found := <-over: // its own words about the time being up are better
		return found
	default:
		return []symptom{problem("no answer within %s", d.within).
			mend("see what is slow: the disk, the network, or the program that was asked")}
	}
}

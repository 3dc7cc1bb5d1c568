package metrics

import (
	"time"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
)

// Ledger is l, with the time measured that its changes take. The clock must be one
// that tells fractions of milliseconds.
func (m *Metrics) Ledger(l architect.Ledger, now func() time.Time) architect.Ledger {
	return ledger{Ledger: l, m: m, now: now}
}

type ledger struct {
	architect.Ledger
	m   *Metrics
	now func() time.Time
}

// Append implements architect.Ledger.
func (l ledger) Append(c build.Change, done func(error)) {
	begun := l.now()
	l.Ledger.Append(c, func(err error) {
		l.m.wrote(l.now().Sub(begun), err)
		done(err)
	})
}

// Logs is l, with the bytes counted that it takes.
func (m *Metrics) Logs(l architect.Logs) architect.Logs { return logs{Logs: l, m: m} }

type logs struct {
	architect.Logs
	m *Metrics
}

// Write implements architect.Logs.
func (l logs) Write(c dispatch.Chunk) (int64, error) {
	l.m.logs.Add(float64(len(c.Data)))
	return l.Logs.Write(c)
}

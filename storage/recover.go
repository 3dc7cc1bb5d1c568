package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// recover makes good what earlier writers left, as far as depth says, and loads
// the live builds. Nothing is guessed: what cannot be read is put aside and
// reported.
func (l *Ledger) recover(ctx context.Context, how depth) (*examination, error) {
	if how == atStart { // a deeper look tells of it
		l.repo.Reindex()
	}
	x := &examination{Store: l.Store, store: l.store, depth: how, ledger: l}
	if err := x.run(ctx); err != nil {
		return nil, err
	}
	l.builds = x.live
	aside, err := os.ReadDir(l.aside())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if l.damaged = len(aside) > 0; l.damaged {
		l.report(fmt.Sprintf("%s holds refs that could not be read: packs are not merged while it does", l.aside()))
	}
	return x, nil
}

// report takes note of what was out of order.
func (l *Ledger) report(found string) {
	l.telling.Lock()
	defer l.telling.Unlock()
	l.found = append(l.found, found)
	if l.tell != nil {
		l.tell(found)
	}
}

// Found says, for people, what was out of order so far.
func (l *Ledger) Found() []string {
	l.telling.Lock()
	defer l.telling.Unlock()
	return append([]string(nil), l.found...)
}

// Tell calls tell for all that was found so far, and from then on for each
// trigger that is quarantined. The calls come one at a time and from any
// goroutine; tell must not call the ledger.
func (l *Ledger) Tell(tell func(found string)) {
	l.telling.Lock()
	defer l.telling.Unlock()
	for _, found := range l.found {
		tell(found)
	}
	l.tell = tell
}

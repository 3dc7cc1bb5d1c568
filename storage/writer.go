package storage

import (
	"context"
	"fmt"
	"slices"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage/git"
)

// When our packs are merged: soon while nothing is being built, and not before
// reading suffers while something is, since merging takes a processor. To count
// them costs a write's time, so it is done once in a while.
const (
	packsIdle  = 32
	packsBusy  = 256
	countPacks = 32 // writes between two counts while something is being built
)

// run is the writer. Batches need no timer: what comes while one is written is
// the next.
func (l *Ledger) run(ctx context.Context) {
	defer close(l.ended)
	watching, stop := context.WithCancel(ctx)
	defer func() {
		stop()
		<-l.watched
		<-l.tidied
	}()
	l.fold(ctx) // what an earlier writer left final
	for {
		entries, closed := l.queue.take()
		if len(entries) > 0 {
			l.record(ctx, entries)
			l.fold(ctx)
			l.upkeep(ctx, true) // more may wait for ever
			continue
		}
		l.renote(ctx)
		if job := l.queue.takeJob(); job != nil {
			job()
			continue
		}
		l.upkeep(ctx, len(l.builds) > 0)
		l.watchGC(watching)
		if closed {
			return
		}
		<-l.queue.wake
	}
}

// between runs work in the writer's goroutine when no change waits, and returns
// its error. It must be short: changes wait for it.
func (l *Ledger) between(work func() error) error {
	done := make(chan error, 1)
	taken := l.queue.putJob(func() {
		if l.broken != nil {
			done <- l.broken
			return
		}
		done <- work()
	})
	if !taken {
		return errReleased
	}
	return <-done
}

// record writes entries as one batch and answers them.
func (l *Ledger) record(ctx context.Context, entries []entry) {
	if l.broken == nil {
		if err := l.write(ctx, entries); err != nil {
			l.fail(fmt.Errorf("record: %w", err))
		}
	}
	for _, e := range entries {
		e.done(l.broken)
	}
}

// fail ends all writing. The writer calls it, once.
func (l *Ledger) fail(err error) {
	l.broken = err
	close(l.failed)
}

func (l *Ledger) write(ctx context.Context, entries []entry) error {
	l.gcMet = l.gcMet || l.repo.GCAtWork()
	b := newBatch(l)
	for _, e := range entries {
		if err := b.add(e); err != nil {
			return err
		}
	}
	return b.write(ctx)
}

// fold moves what is final into the archive.
func (l *Ledger) fold(ctx context.Context) {
	if l.broken != nil {
		return
	}
	var final []*kept
	for _, k := range l.builds {
		if k.build.State().Final() {
			final = append(final, k)
		}
	}
	if len(final) == 0 {
		return
	}
	slices.SortFunc(final, func(a, b *kept) int { return int(a.build.ID.Number - b.build.ID.Number) })
	if err := l.archive(ctx, final); err != nil {
		l.fail(fmt.Errorf("fold: %w", err))
		return
	}
	for _, k := range final {
		delete(l.builds, k.build.ID.Number)
		l.folded(k.build.ID)
	}
}

// upkeep merges packs, beside the writer: it may walk a long history. That it
// fails costs time and nothing else: the next round tries again, and a disk that
// is full shows where it matters.
func (l *Ledger) upkeep(ctx context.Context, busy bool) {
	if l.broken != nil || l.damaged || l.written == 0 || busy && l.written < countPacks {
		return
	}
	select {
	case <-l.tidied:
	default:
		return // the last one is still at it
	}
	l.written = 0
	packs := packsIdle
	if busy {
		packs = packsBusy
	}
	l.tidied = make(chan struct{})
	go func() {
		defer close(l.tidied)
		_ = l.repo.Upkeep(ctx, packs)
	}()
}

// watchGC looks after the packs that were published while git's gc was at work: it
// may have deleted their indexes, see git.Repository.Reindex. This is done as soon as
// the gc is over, beside the writer, or else when the ledger is released; what a gc
// deletes later still, whoever acquires the ledger next finds.
func (l *Ledger) watchGC(ctx context.Context) {
	if !l.gcMet && !l.repo.GCAtWork() {
		return
	}
	select {
	case <-l.watched:
	default:
		return // it looks when the gc is over, and these were published before
	}
	l.gcMet = false
	l.watched = make(chan struct{})
	go func() {
		defer close(l.watched)
		l.repo.AfterGC(ctx)
	}()
}

// kept is what the writer knows about a live build.
type kept struct {
	stand                   // its tree
	entries []git.TreeEntry // of the tree
	head    git.Hash        // its commit
	build   *build.Build
	seq     int
	events  []byte // all moves, as lines
	told    int    // bytes of them that are in the eventsFile
	whole   int    // bytes of buildFile and eventsFile as they were last written; 0 if unknown
}

package storage

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage/git"
)

// numbersBlock is how many build numbers one durable write reserves.
const numbersBlock = 16

// numbers gives out build numbers.
type numbers struct {
	mu    sync.Mutex
	next  int64 // the next one to give out
	limit int64 // the first one that is not reserved
	head  git.Hash
}

// Next reserves the identity of a build. It is never given out again, also when
// no build comes of it.
func (l *Ledger) Next(ctx context.Context) (build.ID, error) {
	n := &l.numbers
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.next == n.limit {
		if err := n.reserve(ctx, l); err != nil {
			return build.ID{}, fmt.Errorf("reserve build number: %w", err)
		}
	}
	n.next++
	return build.ID{Store: l.store, Number: n.next - 1}, nil
}

func (n *numbers) reserve(ctx context.Context, l *Ledger) error {
	head, first, err := l.seq()
	if err != nil {
		return err
	}
	if err := n.write(ctx, l, head, first+numbersBlock); err != nil {
		return err
	}
	n.next, n.limit = first, first+numbersBlock
	return nil
}

// write records the first number that is not reserved.
func (n *numbers) write(ctx context.Context, l *Ledger, head git.Hash, first int64) error {
	batch := l.repo.NewBatch()
	next := batch.Blob(fmt.Appendln(nil, first))
	if err := l.repo.Write(ctx, batch, []git.RefUpdate{{Name: storeRef(l.store, "seq"), Old: head, New: next}}); err != nil {
		return explain(err)
	}
	n.head = next
	return nil
}

// giveBack returns the numbers that were reserved and not given out, so that a
// writer that lives for one build does not make gaps.
func (n *numbers) giveBack(ctx context.Context, l *Ledger) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.next == n.limit {
		return nil
	}
	first := n.next
	n.limit = first
	return n.write(ctx, l, n.head, first)
}

// seq reads the first number that is not reserved. Without the ref, it follows
// the highest number that any build here has.
func (l *Ledger) seq() (head git.Hash, first int64, err error) {
	head, err = l.repo.Ref(storeRef(l.store, "seq"))
	if errors.Is(err, git.ErrRefNotFound) {
		first, err = l.highest()
		return git.Zero, first + 1, err
	}
	if err != nil {
		return git.Zero, 0, err
	}
	data, err := l.repo.ReadBlob(head, 64)
	if err != nil {
		return git.Zero, 0, err
	}
	first, err = strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	if err != nil || first < 1 {
		return git.Zero, 0, fmt.Errorf("seq holds %q, not a number", data)
	}
	return head, first, nil
}

// highest is the highest number of a build in the store; 0 if there is none.
func (l *Ledger) highest() (int64, error) {
	for at, err := range l.newest(context.Background(), l.store, l.search(Query{})) {
		return at.id.Number, err
	}
	return 0, nil
}

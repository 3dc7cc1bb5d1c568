package storage

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
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

// maxNumber is the highest number that the names of refs have room for.
const maxNumber = 9_999_999_999

// errSeq says that seq holds no number.
var errSeq = errors.New("it holds no build number")

// seq reads the first number that is not reserved. Without the ref, it follows
// the highest number that anything here has.
func (l *Ledger) seq() (head git.Hash, first int64, err error) {
	head, first, err = l.reserved(l.store)
	if errors.Is(err, git.ErrRefNotFound) {
		first, err = l.highest(l.store, true)
		return git.Zero, first + 1, err
	}
	return head, first, err
}

// reserved reads a store's seq.
func (s *Store) reserved(store string) (head git.Hash, first int64, err error) {
	if head, err = s.repo.Ref(storeRef(store, "seq")); err != nil {
		return git.Zero, 0, err
	}
	data, err := s.repo.ReadBlob(head, 64)
	if err != nil {
		return head, 0, err
	}
	first, err = strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	if err != nil || first < 1 || first > maxNumber {
		return head, 0, fmt.Errorf("%w: %.20q", errSeq, data)
	}
	return head, first, nil
}

// highest is the highest number of a build that left any trace in the store; 0 if
// none did. What cannot be read is passed over. Unless it is thorough, it looks
// at live, archived and quarantined builds only, and not at logs and notes, of
// which there may be many, nor at what was purged.
func (s *Store) highest(store string, thorough bool) (int64, error) {
	top := int64(0)
	refs, _, err := s.repo.Refs(storeRef(store, ""))
	if err != nil {
		return 0, err
	}
	for _, ref := range refs {
		n, ok := parseDigits(strings.TrimPrefix(lastOf(ref.Name), "live-"))
		if ok {
			top = max(top, n)
		}
		block := strings.HasPrefix(ref.Name, storeRef(store, "archive/")) || thorough && strings.HasPrefix(ref.Name, storeRef(store, "logs/"))
		if !block {
			continue
		}
		for at, err := range s.inBlock(store, ref.Hash) {
			if err != nil {
				break // the newest first: others are lower, or another block's
			}
			top = max(top, at.id.Number)
			break
		}
	}
	if !thorough {
		return top, nil
	}
	if purged, err := s.purged(store); err == nil { // else the desk is at fault, and said to be
		for id := range purged {
			top = max(top, id.Number)
		}
	}
	err = s.eachNote(store, func(id build.ID, _ plan.Commit) { top = max(top, id.Number) })
	return top, err
}

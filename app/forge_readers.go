package app

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
)

// How long a forge's word is taken for who may read.
const (
	believedFor = time.Minute      // that somebody may
	doubtedFor  = 10 * time.Second // that somebody may not: it may just have been granted
)

const (
	maxReaders = 4096 // whose answers are remembered
	maxAsked   = 8    // questions to forges at the same time
)

// readers remember who may read repositories of forges. Of a token they keep a
// keyed hash, which is of no use to anybody else. They are safe for concurrent use.
type readers struct {
	now    func() time.Time
	secret []byte
	asking chan struct{}

	mu    sync.Mutex
	known map[string]leave
}

// A leave is what a forge said of one token and one repository.
type leave struct {
	may   bool
	until time.Time
}

func newReaders(now func() time.Time) *readers {
	return &readers{now: now, secret: []byte(rand.Text()), asking: make(chan struct{}, maxAsked), known: map[string]leave{}}
}

// may reports whether a token opens a repository, by what ask says now or said a
// moment ago. Errors are not remembered.
func (r *readers) may(ctx context.Context, key forge.Key, token string, ask func() (bool, error)) (bool, error) {
	sum := hmac.New(sha256.New, r.secret)
	fmt.Fprintf(sum, "%s %s", key, token)
	id := string(sum.Sum(nil))
	if known, ok := r.recall(id); ok {
		return known, nil
	}
	select {
	case r.asking <- struct{}{}:
		defer func() { <-r.asking }()
	case <-ctx.Done():
		return false, fmt.Errorf("wait to ask: %w", context.Cause(ctx))
	}
	may, err := ask()
	if err == nil {
		r.remember(id, may)
	}
	return may, err
}

func (r *readers) recall(id string) (may, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, ok := r.known[id]
	return l.may, ok && r.now().Before(l.until)
}

// remember keeps an answer. When there are too many the old ones go, and all if they
// are none: then the forges are asked again.
func (r *readers) remember(id string, may bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if len(r.known) >= maxReaders {
		for other, l := range r.known {
			if !now.Before(l.until) {
				delete(r.known, other)
			}
		}
	}
	if len(r.known) >= maxReaders {
		clear(r.known)
	}
	l := leave{may: may, until: now.Add(doubtedFor)}
	if may {
		l.until = now.Add(believedFor)
	}
	r.known[id] = l
}

// reads reports whether somebody with a token may read a repository: the forge says
// so, or, if there is no token, the configuration and the forge.
func (f *forges) reads(ctx context.Context, r forge.Repository, token string) (bool, error) {
	if token == "" {
		return f.conf.Public && r.Public, nil
	}
	return f.readers.may(ctx, r.Key, token, func() (bool, error) { return f.keys(r.Kind).CanRead(ctx, r, token) })
}

package report

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
)

// How long one post, and one durable write after it, may take.
const (
	postWithin = time.Minute
	keepWithin = 10 * time.Second
)

// serve brings one check up to date. The entry is busy: what it knows of the forge
// is this worker's alone.
func (r *Reporter) serve(ctx context.Context, l *lane, e *entry) {
	r.mu.Lock()
	s := e.subject
	r.mu.Unlock()
	err := r.guarded(ctx, l, e, s)
	if notice := r.settle(ctx, l, e, s, err); notice != "" && r.Notice != nil {
		r.Notice(s.Repository, s.Build.ID, notice)
	}
}

// guarded is bring for builds that nobody thought of: one of them must not end the
// process, which would begin with it again.
func (r *Reporter) guarded(ctx context.Context, l *lane, e *entry, s Subject) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.Logger.Error("reporting broke", "build", s.Build.ID.String(), "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("%w: internal error: %v", forge.ErrInvalid, p)
		}
	}()
	return r.bring(ctx, l, e, s)
}

// bring reads what the forge was told, tells it what is new, and keeps that.
func (r *Reporter) bring(ctx context.Context, l *lane, e *entry, s Subject) error {
	if err := r.recall(ctx, e); err != nil {
		return err
	}
	if settled(s, e.told) {
		return nil
	}
	check := r.Compose.Check(s)
	digest := digest(check)
	if e.told.External == check.External && e.told.Digest == digest && check.State != forge.Final && !r.stale(e.told) {
		return nil
	}
	poster, ok := r.Posters[s.Repository.Kind]
	if !ok {
		return fmt.Errorf("%w: no %s is configured here", forge.ErrForbidden, s.Repository.Kind)
	}
	given, err := r.intend(ctx, e, check)
	if err != nil {
		return err
	}
	r.spend(l, 1)
	posting, cancel := context.WithTimeout(ctx, postWithin)
	defer cancel()
	told, err := poster.Post(posting, check, given)
	r.answered(l, e, further(given, told))
	if err != nil {
		e.doubt(told)
		return err
	}
	told.External, told.State, told.Digest, told.At = check.External, max(check.State, told.State), digest, r.Now()
	e.told, e.unkept = told, true
	return r.keep(ctx, e)
}

// recall reads what the forge was told, unless it is known, and keeps what could
// not be kept before.
func (r *Reporter) recall(ctx context.Context, e *entry) error {
	if e.unkept {
		return r.keep(ctx, e)
	}
	if e.known {
		return nil
	}
	told, err := r.Memory.Told(ctx, e.key)
	if err != nil {
		return fmt.Errorf("what was told of %q: %w", e.key.Name, err)
	}
	e.told, e.known = told, true
	return nil
}

// intend keeps that a post is about to be made that must not be made twice, or after
// which none of a lower state may be: the first one of a build, and each that raises
// its state. Whoever finds this without what came of it asks the forge, as they do who
// find nothing: that a check which was never told of is queued need not be kept before.
// It returns what the Poster is to go by: what was known before, by which it need not
// ask.
func (r *Reporter) intend(ctx context.Context, e *entry, check forge.Check) (forge.Told, error) {
	given, intent := e.told, e.told
	switch {
	case given == (forge.Told{}) && check.State == forge.Queued:
		return given, nil
	case given.External != check.External:
		intent = forge.Told{External: check.External, State: check.State}
	case check.State > given.State:
		intent.State, intent.Digest = check.State, ""
	default:
		return given, nil
	}
	intent.At = r.Now()
	if err := r.Memory.Keep(ctx, e.key, intent); err != nil {
		return given, fmt.Errorf("keep what is told of %q: %w", e.key.Name, err)
	}
	e.told = intent
	return given, nil
}

// doubt is what is known after a post that failed: that of which the Poster is
// sure, and for the rest that it may have arrived.
func (e *entry) doubt(told forge.Told) {
	if told.External != e.told.External {
		return // it says nothing about this one
	}
	before := e.told
	e.told.ID, e.told.Annotations = told.ID, max(e.told.Annotations, told.Annotations)
	e.told.Digest = "" // what is shown is not known
	e.unkept = e.told != before
}

// keep makes durable what the forge has been told. It has its own short time: the
// forge knows already.
func (r *Reporter) keep(ctx context.Context, e *entry) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepWithin)
	defer cancel()
	if err := r.Memory.Keep(ctx, e.key, e.told); err != nil {
		return fmt.Errorf("keep what was told of %q: %w", e.key.Name, err)
	}
	e.unkept = false
	return nil
}

// spend takes writes from the lane's budget.
func (r *Reporter) spend(l *lane, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.budget.take(n, r.Now())
}

// answered counts a post, which took further writes.
func (r *Reporter) answered(l *lane, e *entry, further int) {
	r.spend(l, further)
	r.mu.Lock()
	defer r.mu.Unlock()
	e.posted = r.Now()
	r.stats.Posts++
}

// further is how many requests a post took beside the first: fifty annotations fit
// into one.
func further(before, after forge.Told) int {
	return max(0, after.Annotations-before.Annotations-1) / 50
}

// stale reports whether something that is not over was told so long ago that it is
// told again: forges give up what does not move for some days.
func (r *Reporter) stale(told forge.Told) bool {
	return told.State != forge.Final && r.Now().Sub(told.At) >= restateEvery
}

// restateEvery is how often a check is told again although nothing has changed.
const restateEvery = 24 * time.Hour

// digest stands for everything that a check shows.
func digest(c forge.Check) string {
	data, err := json.Marshal(c)
	if err != nil {
		return "" // unreachable: it is strings and numbers
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Pauses after errors, and how often a forge may say that it has nothing of it: what
// was pushed just now may take a minute to be everywhere.
const (
	firstPause  = time.Second
	longPause   = 5 * time.Minute
	goneTries   = 3
	goneEvery   = time.Minute
	limitAtMost = 2 * time.Hour // a forge's clock may be wrong
)

// settle decides what comes after a try, and returns what people should know.
func (r *Reporter) settle(ctx context.Context, l *lane, e *entry, s Subject, err error) (notice string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.busy = false
	switch {
	case err == nil:
		r.succeeded(e, s)
	case ctx.Err() != nil:
		return "" // not the forge's error: the next process goes on
	default:
		notice = r.failed(l, e, s, err)
	}
	if e.wanted {
		r.rouse(e.lane)
	}
	return notice
}

// succeeded forgets what needs no more posts.
func (r *Reporter) succeeded(e *entry, s Subject) {
	e.forget()
	over := settled(s, e.told)
	switch {
	case e.wanted: // it has changed meanwhile, or Run ends
		e.since = r.Now()
	case over && (e.state == forge.Final || outdated(s, e.told)):
		r.drop(e)
	case !over && e.state == forge.Final:
		e.wanted = true // there is more of it
	default:
		e.since = time.Time{}
	}
}

// failed decides when a post is tried again, if at all.
func (r *Reporter) failed(l *lane, e *entry, s Subject, err error) (notice string) {
	now := r.Now()
	var limit *forge.LimitError
	changed := e.wanted // to another request
	e.wanted = true
	r.Logger.Warn("report", "repo", e.key.Repository.String(), "build", s.Build.ID.String(), "check", e.key.Name, "err", err)
	switch {
	case errors.As(err, &limit):
		l.until = now.Add(min(max(limit.Until.Sub(now), firstPause), limitAtMost))
		r.stats.LimitPauses++
	case errors.Is(err, forge.ErrForbidden), errors.Is(err, forge.ErrInvalid):
		if !changed || errors.Is(err, forge.ErrForbidden) {
			return r.park(e, err)
		}
		e.after = now.Add(firstPause)
	case errors.Is(err, forge.ErrGone):
		if e.gone++; e.gone >= goneTries {
			return r.park(e, err)
		}
		e.after = now.Add(goneEvery)
	default:
		e.after = now.Add(r.pause(e.tries))
		e.tries++
	}
	r.stats.Retries++
	return ""
}

// pause doubles with every failure, and is never the same for two.
func (r *Reporter) pause(tries int) time.Duration {
	d := firstPause
	for range tries {
		if d *= 2; d >= longPause {
			d = longPause
			break
		}
	}
	return d/2 + time.Duration(r.Jitter()*float64(d/2))
}

// park has an entry wait for somebody to mend something.
func (r *Reporter) park(e *entry, err error) (notice string) {
	e.wanted, e.parked, e.parkedAt, e.forbidden = false, err.Error(), r.Now(), errors.Is(err, forge.ErrForbidden)
	if e.parked == e.noticed {
		return ""
	}
	e.noticed = e.parked
	return e.parked
}

package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/velocity-ci/velocity/storage/git"
)

// A Severity says what a finding means to people.
type Severity string

// From what lost something to what nobody needs to hurry about.
const (
	Damage   Severity = "damage"   // something cannot be read, or is not what it should be
	Leftover Severity = "leftover" // of a process that died; nothing is lost
	Notice   Severity = "notice"   // for a person to decide
)

// A Code names a kind of finding. Programs may rely on it; docs/repair.md has an
// entry for each.
type Code string

// The codes.
const (
	StaleLock        Code = "stale-lock"
	EmptyObject      Code = "empty-object"
	StaleTemp        Code = "stale-temp"
	IndexWithoutPack Code = "index-without-pack"
	PackWithoutIndex Code = "pack-without-index"
	BadIndex         Code = "bad-index"
	BadPack          Code = "bad-pack"
	StoreFile        Code = "store-file"
	EmptyRef         Code = "empty-ref"
	GarbageRef       Code = "garbage-ref"
	MissingObject    Code = "missing-object"
	Incomplete       Code = "incomplete"
	NewerVersion     Code = "newer-version"
	UnreadableBuild  Code = "unreadable-build"
	NotFolded        Code = "not-folded"
	ArchivedLive     Code = "archived-live"
	ArchivedOther    Code = "archived-other"
	MissingNote      Code = "missing-note"
	StrayNote        Code = "stray-note"
	Disagreement     Code = "disagreement"
	LogMismatch      Code = "log-mismatch"
	PlanMismatch     Code = "plan-mismatch"
	SeqGarbage       Code = "seq-garbage"
	SeqBehind        Code = "seq-behind"
	UnreadableDesk   Code = "unreadable-desk"
	UnreadableReport Code = "unreadable-report"
	UnreadableInbox  Code = "unreadable-trigger"
	Unprotected      Code = "unprotected"
	Quarantined      Code = "quarantined"
	SetAside         Code = "set-aside"
)

// A Finding is one thing that is out of order in a repository's store.
type Finding struct {
	Code     Code
	Severity Severity
	Place    string // a ref, a build's id, or a path
	Problem  string
	Remedy   string // what Repair does about it, or what a person can do
	Mends    bool   // Repair mends it
	Did      string // what Repair did; "" when it only looked

	mend func(context.Context, *Ledger) (did string, err error)
}

// A depth says how much is looked at.
type depth int

const (
	atStart depth = iota // what a writer must know before it begins
	whole                // all refs, and what is archived by name
	full                 // every record and log of every build
)

// checks are all there are, in the order in which one can rely on what another
// has mended.
var checks = []struct {
	from depth
	find func(*examination, context.Context) error
}{
	{atStart, (*examination).locks},
	{atStart, (*examination).leftovers},
	{whole, (*examination).packs},
	{atStart, (*examination).refs},
	{atStart, (*examination).liveBuilds},
	{whole, (*examination).reachability},
	{whole, (*examination).archives},
	{atStart, (*examination).seq},
	{atStart, (*examination).desk},
	{full, (*examination).reports},
	{atStart, (*examination).inbox},
	{whole, (*examination).protection},
	{whole, (*examination).putAside},
}

// An examination runs the checks over one store. With a ledger each finding is
// mended where it is made, so that the next check meets what is left.
type examination struct {
	*Store
	store    string
	depth    depth
	ledger   *Ledger // nil: look and change nothing
	writer   string  // who records meanwhile, beside us; "" if nobody does
	findings []Finding

	live map[int64]*kept // the live builds that can be read
	said map[string]bool // places that are found and not mended
}

func (x *examination) run(ctx context.Context) error {
	x.live, x.said = map[int64]*kept{}, map[string]bool{}
	for _, check := range checks {
		if x.depth < check.from {
			continue
		}
		if err := check.find(x, ctx); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// found takes a finding in, mended if that is asked for and can be.
func (x *examination) found(ctx context.Context, f Finding) error {
	f.Mends = f.mend != nil
	if x.ledger == nil || !f.Mends {
		x.findings = append(x.findings, f)
		x.said[f.Place] = true
		return nil
	}
	did, err := f.mend(ctx, x.ledger)
	if err != nil {
		return fmt.Errorf("mend %s of %s: %w", f.Code, f.Place, err)
	}
	f.Did = did
	x.findings = append(x.findings, f)
	x.ledger.report(did)
	return nil
}

// A Report is what Check and Repair saw.
type Report struct {
	Store    string // "" if nothing is recorded here
	Writer   string // who records at this moment; what moves may show then
	Findings []Finding
}

// Check looks for all that is out of order and changes nothing. It needs no lock;
// while somebody records it reports what it saw twice. With everything set it
// reads every record and log, too.
//
// The error is about what kept it from looking, such as a file it may not open.
func (s *Store) Check(ctx context.Context, everything bool) (Report, error) {
	r, err := s.check(ctx, everything)
	if err == nil && r.Writer != "" && len(r.Findings) > 0 {
		var again Report
		again, err = s.check(ctx, everything)
		r.Findings = slices.DeleteFunc(r.Findings, func(f Finding) bool {
			return !slices.ContainsFunc(again.Findings, func(g Finding) bool { return f.Code == g.Code && f.Place == g.Place })
		})
	}
	if err != nil {
		return r, fmt.Errorf("check store: %w", err)
	}
	return r, nil
}

func (s *Store) check(ctx context.Context, everything bool) (Report, error) {
	store, bad, err := s.examined()
	if err != nil || bad != nil {
		return Report{Findings: bad}, err
	}
	if store == "" {
		return Report{}, nil
	}
	x := &examination{Store: s, store: store, depth: howDeep(everything)}
	if x.writer, err = s.recordedBy(); err != nil {
		return Report{}, err
	}
	err = x.run(ctx)
	return Report{Store: store, Writer: x.writer, Findings: x.findings}, err
}

func howDeep(everything bool) depth {
	if everything {
		return full
	}
	return whole
}

// examined is the store to look at: the own one, or the one that a copy came
// with; "" if there is none. If it cannot be told, the finding says why.
func (s *Store) examined() (store string, bad []Finding, err error) {
	stores, _, err := s.storesInRefs()
	if err != nil {
		return "", nil, err
	}
	id, err := s.ID()
	var invalid *identityError
	switch {
	case errors.As(err, &invalid):
		return "", []Finding{s.badIdentity(err.Error(), stores)}, nil
	case err != nil || id != "":
		return id, nil, err
	case len(stores) > 1:
		return "", []Finding{s.badIdentity("the file is missing, and there are refs of several stores", stores)}, nil
	case len(stores) == 1:
		return stores[0], nil, nil
	}
	return "", nil, nil
}

// Repair takes the writer lock for who, mends what can be mended, and reports
// what it did and what is left. What is left was there to begin with, or is what
// it has put into quarantine.
//
// Errors are those of Acquire, and what kept it from mending.
func (s *Store) Repair(ctx context.Context, who string, everything bool) (mended, left []Finding, err error) {
	_, bad, err := s.examined()
	if err != nil {
		return nil, nil, fmt.Errorf("repair store: %w", err)
	}
	if len(bad) > 0 && !bad[0].Mends {
		return nil, bad, nil
	}
	l, err := s.lockFor(who, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("repair store: %w", err)
	}
	for _, f := range bad {
		if f.Did, err = f.mend(ctx, l); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("repair store: %w", err), l.lock.abandon())
		}
		mended = append(mended, f)
	}
	x, err := l.begin(ctx, who, howDeep(everything))
	if err != nil {
		return mended, nil, errors.Join(fmt.Errorf("repair store: %w", err), l.lock.abandon())
	}
	mended = append(mended, x.findings...)
	go l.run(context.WithoutCancel(ctx))
	if err := l.Release(ctx); err != nil { // it folds what is final
		return mended, nil, fmt.Errorf("repair store: %w", err)
	}
	mended = slices.DeleteFunc(mended, func(f Finding) bool { return f.Did == "" })
	r, err := s.Check(ctx, everything)
	return mended, r.Findings, err
}

// allRefs are the refs of the examined store, and the notes.
func (x *examination) allRefs() (refs []git.Ref, broken []git.BrokenRef, err error) {
	for _, prefix := range []string{storeRef(x.store, ""), NotesRef} {
		some, bad, err := x.repo.Refs(prefix)
		if err != nil {
			return nil, nil, err
		}
		refs, broken = append(refs, some...), append(broken, bad...)
	}
	return refs, broken, nil
}

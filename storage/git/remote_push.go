package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Push is one ref to be sent.
type Push struct {
	Hash Hash   // an object of ours; Zero deletes the ref, with Replace
	To   string // the ref there
	// Replace allows the ref to lose what it has, if that is exactly Old (Zero: it
	// does not exist). Without it the ref may only grow.
	Replace bool
	Old     Hash
}

// A PushResult is what became of one ref.
type PushResult struct {
	Ref     string
	Outcome PushOutcome
	Reason  string // what git or the remote said, of a ref that was not taken
}

// A PushOutcome says how a push of one ref ended.
type PushOutcome int

// What can become of a pushed ref.
const (
	Taken   PushOutcome = iota // the remote has it
	Behind                     // the remote has something that the new value lacks
	Refused                    // the remote does not want it
)

// pushesAtOnce keeps a command line well below any system's bound.
const pushesAtOnce = 200

// Push sends refs and says what became of each, by name. The error is about the
// remote as a whole, or nil.
func (m *Remote) Push(ctx context.Context, pushes []Push) ([]PushResult, error) {
	var results []PushResult
	for len(pushes) > 0 {
		n := min(len(pushes), pushesAtOnce)
		some, err := m.push(ctx, pushes[:n])
		results = append(results, some...)
		if err != nil {
			return results, fmt.Errorf("push to %s: %w", m, err)
		}
		pushes = pushes[n:]
	}
	slices.SortFunc(results, func(a, b PushResult) int { return strings.Compare(a.Ref, b.Ref) })
	return results, nil
}

func (m *Remote) push(ctx context.Context, pushes []Push) ([]PushResult, error) {
	args := []string{"push", "--porcelain", "--no-verify", "--no-signed", "--no-follow-tags", "--no-thin",
		"--no-force-if-includes", "--recurse-submodules=no"}
	var specs []string
	for _, p := range pushes {
		if err := checkRefName(p.To); err != nil {
			return nil, err
		}
		if p.Replace {
			old := ""
			if !p.Old.IsZero() {
				old = p.Old.String()
			}
			args = append(args, "--force-with-lease="+p.To+":"+old)
		}
		source := ""
		if !p.Hash.IsZero() {
			source = p.Hash.String()
		} else if !p.Replace {
			return nil, fmt.Errorf("%s is not to be deleted", p.To)
		}
		specs = append(specs, source+":"+p.To)
	}
	args = append(append(args, "--end-of-options", m.target), specs...)
	var out bytes.Buffer
	_, err := m.git(ctx, nil, &out, args...)
	results := parsePush(out.String())
	if len(results) < len(pushes) {
		if err == nil {
			err = errors.New("the remote did not say what became of each ref")
		}
		return results, err
	}
	if ctx.Err() != nil {
		return results, err
	}
	return results, nil // an error is about single refs, which the results tell
}

// parsePush reads what git push --porcelain prints: for each ref a flag, a tab,
// the two names, a tab and a summary, with the reason in parentheses. Other lines
// are for people.
func parsePush(out string) []PushResult {
	var results []PushResult
	for line := range strings.Lines(out) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 3)
		if len(fields) != 3 || len(fields[0]) != 1 || !strings.Contains(" +-*=!", fields[0]) {
			continue
		}
		_, ref, ok := strings.Cut(fields[1], ":")
		if !ok {
			continue
		}
		r := PushResult{Ref: ref}
		if fields[0] == "!" {
			r.Outcome, r.Reason = refusal(fields[2])
		}
		results = append(results, r)
	}
	return results
}

// refusal reads "[rejected] (fetch first)" or "[remote rejected] (hook declined)".
// The first is git's own, of what would lose something.
func refusal(summary string) (PushOutcome, string) {
	who, rest, found := strings.Cut(summary, "] ")
	if !found {
		return Refused, complaint(summary)
	}
	reason := strings.TrimSuffix(strings.TrimPrefix(rest, "("), ")")
	if who == "[rejected" || slices.ContainsFunc(moved, func(s string) bool { return strings.Contains(reason, s) }) {
		return Behind, complaint(reason)
	}
	return Refused, complaint(reason)
}

// moved is what a remote says of a ref that another push has changed meanwhile,
// or that its configuration does not let lose anything.
var moved = []string{"non-fast-forward", "incorrect old value", "cannot lock ref", "failed to update ref"}

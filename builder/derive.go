package builder

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

const shownBytes = 60 // of output that cannot be read

// derive runs the executable of p and adds what it exports to the values. They
// are known to the masker before anything it printed reaches the log.
func (t *attempt) derive(ctx context.Context, p plan.Parameter) error {
	var stdout, stderr capture
	exit, err := t.runExecutable(ctx, executable{
		what: "derived parameter " + p.Derived.Use, use: p.Derived.Use, sum: p.Derived.SHA256,
		arguments: p.Derived.Arguments, limit: time.Duration(p.Derived.Timeout),
	}, &stdout, &stderr)
	if err != nil {
		t.show("derived parameter "+p.Derived.Use, &stderr, p.Secret)
		return err
	}
	d, err := t.readDerived(p, &stdout, exit)
	t.show("derived parameter "+p.Derived.Use, &stderr, err != nil && mayHide(p, &stdout))
	if err == nil {
		err = d.accept(exit, t.builder.Now())
	}
	if err != nil {
		return failed("derived parameter %s: %v", p.Derived.Use, err)
	}
	if d.State == "warning" {
		t.journal.note(t.masker, "derived parameter %s: warning: %s", p.Derived.Use, d.Error)
		if err := t.fallBack(p, d); err != nil {
			return err
		}
	}
	t.remember(p, d)
	return t.export(p, d)
}

// fallBack gives the parameters that an executable did not find out the values
// that basic ones of their names would have.
func (t *attempt) fallBack(p plan.Parameter, d derivation) error {
	for printed, name := range p.Derived.Exports {
		text, ok := t.given.Values[name]
		if _, found := d.Exports[printed]; found || !ok || plan.BuiltIn(name) {
			continue
		}
		if p.Secret || d.Secret {
			if err := t.hide(map[string]string{name: text}); err != nil {
				return err
			}
		}
		if err := t.values.set(name, text, p.Secret || d.Secret); err != nil {
			return err
		}
	}
	return nil
}

// readDerived reads what was printed and hides its values if they are secret.
// Output that cannot be read is shown in part, unless it may hold a secret that
// nobody can find in it.
func (t *attempt) readDerived(p plan.Parameter, out *capture, exit int) (derivation, error) {
	if out.more {
		return derivation{}, fmt.Errorf("it printed more than %d bytes", maxDerived)
	}
	d, err := parseDerivation(out.kept)
	switch {
	case err == nil && (d.Secret || p.Secret):
		return d, t.hide(d.Exports)
	case err == nil:
		return d, nil
	case exit != 0:
		err = fmt.Errorf("exit %d: %w", exit, err)
	}
	if mayHide(p, out) {
		return d, fmt.Errorf("%w (%d bytes, not shown since they may hold a secret)", err, len(out.kept))
	}
	shown := t.masker.String(string(out.kept)) // masked before it is cut
	return d, fmt.Errorf("%w; it begins with %q", err, shown[:min(len(shown), shownBytes)])
}

// mayHide reports whether output that could not be read may hold a secret.
func mayHide(p plan.Parameter, out *capture) bool {
	return p.Secret || bytes.Contains(out.kept, []byte("secret"))
}

// export adds what the executable exports to the values, under the names that
// the parameter gives them.
func (t *attempt) export(p plan.Parameter, d derivation) error {
	for _, printed := range slices.Sorted(maps.Keys(d.Exports)) {
		name := exported(p, printed)
		if plan.BuiltIn(name) {
			return failed("derived parameter %s: it may not set %s", p.Derived.Use, name)
		}
		if err := t.values.set(name, d.Exports[printed], d.Secret || p.Secret); err != nil {
			return err
		}
	}
	return nil
}

// exported is what p calls the value that its executable calls printed.
func exported(p plan.Parameter, printed string) string {
	if renamed, ok := p.Derived.Exports[printed]; ok {
		return renamed
	}
	return printed
}

// show copies what the executable printed beside its values into the log, unless
// it may hold a secret that nobody knows.
func (t *attempt) show(what string, stderr *capture, mayHide bool) {
	if len(stderr.kept) == 0 {
		return
	}
	if mayHide {
		t.journal.note(t.masker, "%s: its messages are not shown since they may hold a secret", what)
		return
	}
	text := stderr.kept
	if stderr.more { // half a line could hold half a secret, which nobody would find
		text = text[:bytes.LastIndexByte(text, '\n')+1]
	}
	t.journal.print(t.masker, string(text))
	if stderr.more {
		t.journal.note(t.masker, "%s printed more than is shown here", what)
	}
}

package builder

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/executor"
)

const (
	deriveTimeout = 30 * time.Second // unless the parameter sets one
	shownBytes    = 60               // of output that cannot be read
)

// derive runs the executable of p and adds what it exports to the values. They
// are known to the masker before anything it printed reaches the log.
func (t *attempt) derive(ctx context.Context, p plan.Parameter) error {
	if t.builder.Host == nil {
		return failed("derived parameter %s needs the host executor, which this builder does not allow", p.Derived.Use)
	}
	var stdout, stderr capture
	exit, err := t.runDerived(ctx, p.Derived, &stdout, &stderr)
	if err != nil {
		t.show(p, &stderr, p.Secret)
		return err
	}
	d, err := t.readDerived(p, &stdout, exit)
	t.show(p, &stderr, err != nil && mayHide(p, &stdout))
	if err == nil {
		err = d.accept(exit, t.builder.Now())
	}
	if err != nil {
		return failed("derived parameter %s: %v", p.Derived.Use, err)
	}
	if d.State == "warning" {
		t.journal.note(t.masker, "derived parameter %s: warning: %s", p.Derived.Use, d.Error)
	}
	return t.export(p, d)
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
		name := printed
		if renamed, ok := p.Derived.Exports[printed]; ok {
			name = renamed
		}
		if plan.BuiltIn(name) {
			return failed("derived parameter %s: it may not set %s", p.Derived.Use, name)
		}
		if err := t.values.set(name, d.Exports[printed], d.Secret || p.Secret); err != nil {
			return err
		}
	}
	return nil
}

// runDerived runs the executable in the workspace, with an environment that has
// no secrets; arguments that mention one by name get it.
func (t *attempt) runDerived(ctx context.Context, d *plan.Derived, stdout, stderr io.Writer) (exit int, err error) {
	use, err := within(t.workspace.Dir, d.Use, true)
	if err != nil {
		return 0, failed("derived parameter %s: %v", d.Use, err)
	}
	argv := []string{"./" + use}
	for _, a := range d.Arguments {
		mentioned, _ := a.Value.Names() // expand reports the error
		text, err := t.values.expand(a.Value, mentioned)
		if err != nil {
			return 0, failed("derived parameter %s: argument %s: %v", d.Use, a.Name, err)
		}
		argv = append(argv, "-"+a.Name+"="+text)
	}
	limit := time.Duration(d.Timeout)
	if limit <= 0 {
		limit = deriveTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, failed("derived parameter %s: timed out after %s", d.Use, limit))
	defer cancel()
	result, err := t.builder.Host.Run(ctx, executor.Command{
		Owner:     t.builder.owner(t.given.Attempt),
		Argv:      argv,
		Env:       t.environment(nil),
		Workspace: t.workspace.Dir,
		Stdout:    stdout,
		Stderr:    stderr,
		Grace:     t.builder.Grace,
	})
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if err != nil {
		return 0, fmt.Errorf("derived parameter %s: %w", d.Use, err)
	}
	return result.Exit, nil
}

// show copies what the executable printed beside its values into the log, unless
// it may hold a secret that nobody knows.
func (t *attempt) show(p plan.Parameter, stderr *capture, mayHide bool) {
	if len(stderr.kept) == 0 {
		return
	}
	if mayHide {
		t.journal.note(t.masker, "derived parameter %s: its messages are not shown since they may hold a secret", p.Derived.Use)
		return
	}
	text := stderr.kept
	if stderr.more { // half a line could hold half a secret, which nobody would find
		text = text[:bytes.LastIndexByte(text, '\n')+1]
	}
	t.journal.print(t.masker, string(text))
	if stderr.more {
		t.journal.note(t.masker, "derived parameter %s printed more than is shown here", p.Derived.Use)
	}
}

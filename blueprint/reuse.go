package blueprint

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// toolchainLabel is what a builder must declare on which results without an image
// can be reused: it names the tools that are installed there.
const toolchainLabel = "toolchain"

// maxLooked bounds the steps and references that are looked through for each task.
const maxLooked = 2000

// A hindrance is why a task's result says nothing about another build.
type hindrance struct {
	at        Position
	why, hint string
}

// checkReuse warns of inputs that have no effect.
func (c *Config) checkReuse(b *blueprint, k *checker) {
	if len(b.Inputs.List) == 0 {
		return
	}
	for _, h := range c.hindrances(b, k) {
		k.report.warnf(h.at, "blueprint %s has inputs, but its result is not reused: %s", b.name, h.why).Hint = h.hint
	}
}

// hindrances lists what stands in the way of reusing the result of a blueprint, as
// far as the checker knows the values of its texts.
func (c *Config) hindrances(b *blueprint, k *checker) []hindrance {
	var found []hindrance
	add := func(at Position, why, hint string) { found = append(found, hindrance{at, why, hint}) }
	toolchain := false
	for _, part := range c.closure(b) {
		if part.Effects.Value { // whatever else there is does not matter
			return []hindrance{{part.Effects.at, "it has effects", "leave one of the two out"}}
		}
		toolchain = toolchain || slices.ContainsFunc(part.Labels, func(v variable) bool { return v.Name.Value == toolchainLabel })
	}
	if c.root.Git.Submodule.Value {
		add(c.root.Git.Submodule.at, "its workspace holds submodules, which inputs do not cover", "leave one of the two out")
	}
	for _, p := range k.scope.order {
		if p.derived != nil {
			add(p.derived.at, "an executable derives values for it", "declare the parameter in the blueprints that use it")
		}
	}
	budget := maxLooked
	for _, part := range c.closure(b) {
		for i := range part.Steps {
			s := &part.Steps[i]
			refs := s.references()
			if budget -= 1 + len(refs); budget < 0 {
				add(s.at, "it is too large to be looked through", "split the blueprint")
				return found
			}
			k.stepHindrances(s, refs, toolchain, add)
		}
	}
	return found
}

func (k *checker) stepHindrances(s *step, refs []reference, toolchain bool, add func(at Position, why, hint string)) {
	if s.common == nil || s.blueprint != nil {
		return
	}
	seen := s.common.Secrets.List
	if s.run != nil {
		seen = slices.Concat(seen, s.run.SecretFiles.List)
	}
	for _, name := range seen {
		add(name.at, "a step sees a secret", "")
	}
	for _, ref := range refs {
		b, builtIn := lookupBuiltIn(ref.name)
		d, declared := k.scope.names[ref.name]
		switch {
		case builtIn && !b.git:
			add(ref.at, fmt.Sprintf("${%s} is new in every build", ref.name), "")
		case declared && d.class == secret:
			add(ref.at, fmt.Sprintf("${%s} is secret", ref.name), "")
		}
	}
	if s.run == nil {
		add(s.at, "only run steps can be looked up instead of run", "put the step into a blueprint of its own")
		return
	}
	if m := s.run.mention; m.Set {
		add(m.at, fmt.Sprintf("$%s differs from build to build", m.Value), "")
	}
	if !s.run.Image.Set && !toolchain {
		add(s.at, "it runs on the builder itself", "ask for a builder with the label toolchain, whose value stands for the tools that it has")
	}
	k.unpinned(&s.run.Image, add)
	for i := range s.run.Services {
		k.unpinned(&s.run.Services[i].Image, add)
	}
}

// noteMentions finds the first variable about the commit or the build in a step's
// code. Scripts that stand in files of their own are not read.
func (s *runStep) noteMentions() {
	code := []word{s.Script}
	for _, t := range s.Command.List {
		code = append(code, t.word)
	}
	for _, v := range s.Environment {
		code = append(code, v.Value.word)
	}
	for _, w := range code {
		if !strings.Contains(w.Value, "VELOCITY_") {
			continue
		}
		for _, name := range append(gitNames(), buildNames()...) {
			if v := plan.EnvName(name); strings.Contains(w.Value, v) {
				s.mention = word{spot: w.spot, Value: v, Set: true}
				return
			}
		}
	}
}

// unpinned reports an image whose name may stand for another image tomorrow.
func (k *checker) unpinned(image *text, add func(at Position, why, hint string)) {
	if name, ok := k.literal(image); ok && !strings.Contains(name, "@sha256:") {
		add(image.at, fmt.Sprintf("image %s is not pinned", shorten(name, 60)), "name it with its digest, as "+shorten(name, 60)+"@sha256:…")
	}
}

// reuseKey is the key under which the task's success may stand in for another's,
// or "" if it may not.
func (t *task) reuseKey(out *plan.Task, b *blueprint) string {
	if len(out.Inputs) == 0 || t.req.Digest == nil || t.err != nil || len(t.config.hindrances(b, &t.check)) > 0 {
		return ""
	}
	needs, ok := t.needKeys(out)
	if !ok {
		return ""
	}
	digest, err := t.digest(out.Inputs)
	if err != nil {
		t.fail(err)
		return ""
	}
	data, err := json.Marshal(reusable{Task: canonical(*out), Needs: needs, Inputs: digest})
	if err != nil {
		t.fail(fmt.Errorf("encode task %s: %w", out.Name, err))
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// A reusable is all that a result depends on.
type reusable struct {
	Task   plan.Task `json:"task"`
	Needs  []string  `json:"needs"` // keys of the results that its artifacts come from
	Inputs string    `json:"inputs"`
}

// canonical leaves out what has no part in the outcome: names, places in files, and
// what is done about a failure.
func canonical(t plan.Task) plan.Task {
	t.Key, t.Name, t.Blueprint, t.Description = "", "", "", ""
	t.MayFail, t.Timeout, t.Retry, t.Needs, t.Caches = false, 0, plan.Retry{}, nil, nil
	t.Steps = slices.Clone(t.Steps)
	for i := range t.Steps {
		t.Steps[i].Name, t.Steps[i].At, t.Steps[i].Timeout = "", "", 0
	}
	t.Registries = slices.Clone(t.Registries)
	for i := range t.Registries {
		t.Registries[i].At = ""
	}
	return t
}

// needKeys are the reuse keys of the tasks whose artifacts are unpacked: if all of
// those could be reused, their artifacts are the same as well.
func (t *task) needKeys(out *plan.Task) ([]string, bool) {
	var keys []string
	for _, key := range out.Needs {
		other := t.byKey[key]
		if other.ReuseKey == "" {
			return nil, false
		}
		keys = append(keys, other.ReuseKey)
	}
	return keys, true
}

// digest asks for the content of the files that the patterns choose, once for each
// list.
func (d *drawer) digest(patterns []string) (string, error) {
	key := strings.Join(patterns, "\x00")
	if known, ok := d.digests[key]; ok {
		return known, nil
	}
	sum, err := d.req.Digest(slices.Clone(patterns))
	if err != nil {
		return "", fmt.Errorf("find out the content of the inputs: %w", err)
	}
	d.digests[key] = sum
	return sum, nil
}

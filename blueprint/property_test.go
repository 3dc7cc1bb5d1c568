package blueprint

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// hostileText is what somebody who wants to be read as code would write.
func hostileText() *rapid.Generator[string] {
	piece := rapid.SampledFrom([]string{
		"$(touch x)", "`id`", "${git.branch}", "${p}", "$${p}", "${{", "$", "{", "}", "'", `"`, `\`, "\n", "\r\n", " ", "\t", ";", "|", "&&",
		"-c", "--help", "../", "é", "\u202e", "\u2028", "<img>", "#", "=", "%s", "\x1b[31m", "!!binary", "*a", "&a", ": ", "- ", "a", "0",
	})
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(piece, 1, 8).Draw(t, "pieces"), "")
	})
}

// TRUST P3: whatever a value holds, it arrives in the argument list and in the
// environment byte by byte, and is not looked at again.
func TestHostileValuesArriveUnchanged(t *testing.T) {
	c, findings := mustLoad(t, one(`
parameters:
  - {name: p}
  - {name: made, default: "<${p}>"}
steps:
  - type: run
    image: alpine:${git.branch.clean}
    command: 'echo ${git.branch} "${git.commit.message}" a${p}b ${made} $${p}'
    environment:
      - AUTHOR=${git.commit.author}
      - TAG=${git.tag}${p}
`))
	if len(findings) > 0 {
		t.Fatalf("findings: %v", findings)
	}
	rapid.Check(t, func(t *rapid.T) {
		git := commit()
		for _, name := range []string{"git.branch", "git.tag", "git.commit.author", "git.commit.message"} {
			git[name] = hostileText().Draw(t, name)
		}
		p := hostileText().Draw(t, "p")
		req := request("b", git)
		req.Given = map[string]string{"p": p}
		drawn, err := c.Draw(req)
		if err != nil {
			t.Fatalf("Draw() = %v", err)
		}
		data, err := drawn.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if drawn, err = plan.Decode(data); err != nil {
			t.Fatal(err)
		}
		run := drawn.Stages[0].Tasks[0].Steps[0].Run
		var got []string
		for _, x := range append(run.Command, run.Environment[0].Value, run.Environment[1].Value) {
			s, err := x.Expand(unknownYet)
			if err != nil {
				t.Fatalf("Text(%q).Expand() = %v; nothing is unknown any more", x, err)
			}
			got = append(got, s)
		}
		want := []string{
			"echo", git["git.branch"], git["git.commit.message"], "a" + p + "b", "<" + p + ">", "${p}",
			git["git.commit.author"], git["git.tag"] + p,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("arguments and environment differ (-want +got):\n%s", diff)
		}
		for name, v := range git {
			if in, ok := drawn.Git[name]; ok && in != v {
				t.Fatalf("%s = %q; want %q", name, in, v)
			}
		}
		if s := strings.TrimPrefix(string(run.Image), "alpine:"); strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
			t.Fatalf("a clean value came out as %q", s)
		}
	})
}

// repository makes small configurations, right and wrong ones.
func repository() *rapid.Generator[files] {
	word := rapid.SampledFrom([]string{
		"x", "${p}", "${q}", "${git.branch}", "${git.branch.clean}", "${build.id}", "${d}", "'a b'", "1.10", "-c", "sh", "$${x}", "${git.describe}", "../x", "é",
	})
	when := rapid.SampledFrom([]string{"true", "false", `git.branch == "x"`, `parameters.p == "plain"`, `parameters.q != ""`, `changed("a/**")`, `parameters.s == ""`})
	step := rapid.Custom(func(t *rapid.T) string {
		w := func(label string) string { return word.Draw(t, label) }
		switch rapid.IntRange(0, 7).Draw(t, "type") {
		case 0:
			return fmt.Sprintf("{type: run, image: \"%s\", command: [\"%s\", \"%s\"], secrets: [s]}", w("image"), w("a"), w("b"))
		case 1:
			return fmt.Sprintf("{type: run, command: \"%s %s\", environment: {A: \"%s\"}, ignoreErrors: true}", w("a"), w("b"), w("env"))
		case 2:
			return fmt.Sprintf("{type: run, script: \"%s\", timeout: 1m}", w("script"))
		case 3:
			return fmt.Sprintf("{type: build, tags: [\"%s\"], context: \"%s\"}", w("tag"), w("context"))
		case 4:
			return fmt.Sprintf("{type: compose, composeFile: \"%s\"}", w("file"))
		case 5:
			return fmt.Sprintf("{type: run, command: x, always: true, when: '%s'}", when.Draw(t, "when"))
		case 6:
			return fmt.Sprintf("{type: run, image: a@sha256:0, command: x, services: [{image: \"%s\", environment: {A: \"%s\"}}]}", w("image"), w("env"))
		default:
			return fmt.Sprintf("{type: blueprint, name: b%d}", rapid.IntRange(0, 3).Draw(t, "inner"))
		}
	})
	whole := rapid.SampledFrom([]string{
		"matrix: {p: [a, b], m: [c, d], exclude: [{p: a, m: d}], include: [{m: c, n: e}]}", "retries: 2", "effects: true", "inputs: ['**']", "needs: {artifacts: b0}",
		"environment: {A: \"${p}\", B: x}", "artifacts: ['out/${p}']", "caches: [{key: \"${q}\", paths: [a]}]", "reports: {junit: '*.xml'}", "labels: {toolchain: go}",
	})
	parameter := rapid.SampledFrom([]string{
		"{name: p, default: \"${git.branch}\"}", "{name: p, default: plain}", "{name: q, default: \"${p}\"}", "{name: s, secret: true}",
		"{use: tools/d, exports: {d: d}}", "{use: tools/open}", "{name: q, otherOptions: [x]}",
	})
	return rapid.Custom(func(t *rapid.T) files {
		tree := files{}
		for i := range rapid.IntRange(1, 4).Draw(t, "blueprints") {
			tree[fmt.Sprintf(".velocityci/blueprints/b%d.yml", i)] = "parameters: [" +
				strings.Join(rapid.SliceOfN(parameter, 0, 3).Draw(t, "parameters"), ", ") + "]\nsteps: [" +
				strings.Join(rapid.SliceOfN(step, 1, 3).Draw(t, "steps"), ", ") + "]\n" +
				strings.Join(rapid.SliceOfNDistinct(whole, 0, 4, func(s string) string { return s }).Draw(t, "whole"), "\n") + "\n"
		}
		given := rapid.SampledFrom([]string{"b0", "b1", "{name: b0, parameters: {p: \"${git.tag}\"}}", "{name: b1, ignoreErrors: true}", "{name: b0, when: 'git.tag != \"\"'}"})
		tree[".velocityci/pipelines/p.yml"] = "stages: [{name: one, blueprints: [" + strings.Join(rapid.SliceOfN(given, 1, 3).Draw(t, "one"), ", ") +
			"]}, {blueprints: [" + strings.Join(rapid.SliceOfN(given, 0, 2).Draw(t, "two"), ", ") + "]}]\n"
		return tree
	})
}

// Drawing is a function of configuration and request: what is printed reads back
// the same, and a second drawing prints the same bytes. What cannot be drawn ends
// in an error that says what is wrong.
func TestDrawIsDeterministic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := repository().Draw(t, "repository")
		req := request("p", commit())
		if rapid.Bool().Draw(t, "with lookup") {
			req.Lookup = func(name string) (string, bool) { return "x", name == "s" || name == "q" }
		}
		if rapid.Bool().Draw(t, "with files") {
			req.Changed = func(patterns []string) (bool, error) { return len(patterns[0])%2 == 0, nil }
			req.Digest = func(patterns []string) (string, error) { return strings.Join(patterns, "\n"), nil }
		}
		one, err := drawTree(tree, req)
		if err != nil {
			var findings Findings
			var missing *MissingError
			if !errors.As(err, &findings) && !errors.As(err, &missing) {
				t.Fatalf("Draw() = %v (%T)", err, err)
			}
			return
		}
		two, err := drawTree(tree, req)
		if err != nil || !bytes.Equal(one, two) {
			t.Fatalf("drawn again: %v\n%s", err, cmp.Diff(string(one), string(two)))
		}
		decoded, err := plan.Decode(one)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := decoded.Encode(); err != nil || !bytes.Equal(again, one) {
			t.Fatalf("decoded and encoded: %v\n%s", err, cmp.Diff(string(one), string(again)))
		}
	})
}

func drawTree(tree files, req Request) ([]byte, error) {
	c, _, err := Load(tree)
	if err != nil {
		return nil, err
	}
	p, err := c.Draw(req)
	if err != nil {
		return nil, err
	}
	return p.Encode()
}

// TRUST P5: inclusions that lead back are refused, all others drawn.
func TestInclusionCyclesAreRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const n = 5
		includes := make([][]int, n)
		tree := files{}
		for i := range n {
			includes[i] = rapid.SliceOfN(rapid.IntRange(0, n-1), 0, 2).Draw(t, "includes")
			text := "steps:\n  - {type: run, command: x}\n"
			for _, j := range includes[i] {
				text += fmt.Sprintf("  - {type: blueprint, name: b%d}\n", j)
			}
			tree[fmt.Sprintf(".velocityci/blueprints/b%d.yml", i)] = text
		}
		c, _, err := Load(tree)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			_, err := c.Draw(request(fmt.Sprintf("b%d", i), commit()))
			refused := err != nil && strings.Contains(err.Error(), "in a circle")
			if want := cyclic(includes, i, nil); refused != want || (err != nil) != want {
				t.Fatalf("Draw(b%d) of %v = %v; want a circle: %v", i, includes, err, want)
			}
		}
	})
}

func cyclic(includes [][]int, from int, path []int) bool {
	for _, p := range path {
		if p == from {
			return true
		}
	}
	for _, to := range includes[from] {
		if cyclic(includes, to, append(path, from)) {
			return true
		}
	}
	return false
}

func FuzzLoad(f *testing.F) {
	for _, text := range hostile() {
		if len(text) < 4<<10 {
			f.Add(text)
		}
	}
	for _, text := range dir(f, "testdata/2019") {
		f.Add(text)
	}
	for _, text := range dir(f, "testdata/full") {
		f.Add(text)
	}
	f.Add("steps:\n  - &a {type: run, command: 'x ${p} $${q} ${'}\n  - <<: *a\n    image: é${git.branch}\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, path := range []string{".velocity.yml", ".velocityci/blueprints/b.yml", ".velocityci/pipelines/p.yml"} {
			tree := files{".velocityci/blueprints/x.yml": "steps: [{type: run, command: x}]"}
			tree[path] = text
			c, findings, err := Load(tree)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Count(text, "\n") + strings.Count(text, "\r") + strings.Count(text, "\u0085") + strings.Count(text, "\u2028") + strings.Count(text, "\u2029") + 1
			for _, f := range findings {
				if f.Line > lines || f.Line > 0 && f.Column < 1 {
					t.Errorf("a finding beyond the file: %v", f)
				}
			}
			for _, s := range append(c.Pipelines(), c.Blueprints()...) {
				checkDrawing(t, c, s.Name)
			}
		}
	})
}

// checkDrawing draws the plan twice, if there is one.
func checkDrawing(t *testing.T, c *Config, name string) {
	t.Helper()
	req := request(name, commit())
	req.Lookup = func(string) (string, bool) { return "x", true }
	p, err := c.Draw(req)
	if err != nil {
		return
	}
	one, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := plan.Decode(one)
	if err != nil {
		t.Fatal(err)
	}
	if two, _ := decoded.Encode(); !bytes.Equal(one, two) {
		t.Errorf("the plan reads back differently:\n%s", cmp.Diff(string(one), string(two)))
	}
	if p, _ := c.Draw(req); p == nil {
		t.Error("the second drawing failed")
	}
}

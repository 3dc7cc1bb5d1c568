package blueprint

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// hostile are files that cost much to read if one reads them as they come.
func hostile() map[string]string {
	kib := func(n int, s string) string { return strings.Repeat(s, n<<10/len(s)) }
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 12; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	merges := "m0: &m0 {a: b}\n"
	for i := 1; i < 200; i++ {
		merges += fmt.Sprintf("m%d: &m%d {<<: [*m%d, *m%d], k%d: v}\n", i, i, i-1, i-1, i)
	}
	var keys, levels, refs strings.Builder
	for i := range 4500 {
		fmt.Fprintf(&keys, "stps%d: 1\n", i)
	}
	for i := range 400 {
		levels.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	refs.WriteString("steps:\n  - type: run\n    command: [")
	for range 4500 {
		refs.WriteString("'${gitt}',")
	}
	refs.WriteString("x]\n")
	return map[string]string{
		"alias bomb":      bomb + "steps: *a11\n",
		"merge bomb":      merges,
		"brackets":        kib(200, "["),
		"braces":          kib(200, "{a: "),
		"closed brackets": kib(100, "[") + kib(100, "]"),
		"dashes":          kib(200, "- "),
		"questions":       kib(200, "? "),
		"levels":          levels.String(),
		"comments":        kib(255, "#\n"),
		"comments within": "steps:\n" + kib(250, "  # x\n") + "  - type: run\n",
		"commas":          "a: [" + kib(250, "a,") + "]",
		"keys":            keys.String(),
		"same keys":       kib(250, "a: 1\n"),
		"long key":        kib(200, "k") + ": 1\n",
		"long text":       "description: " + kib(250, "x"),
		"too large":       kib(257, "x"),
		"references":      refs.String(),
		"one line":        "steps: [{type: run, command: '" + kib(250, "${a}") + "'}]",
		"dollars":         "steps: [{type: run, command: '" + kib(250, "$") + "${a}'}]",
		"open reference":  "steps: [{type: run, command: '${" + kib(250, "a") + "'}]",
		"quotes":          "steps: [{type: run, command: " + kib(250, "''") + "}]",
		"escapes":         "steps: [{type: run, command: \"" + kib(250, `\x24{a}`) + "\"}]",
		"documents":       kib(250, "---\na\n"),
		"anchors":         kib(250, "- &a a\n"),
		"numbers":         "timeout: 1e999999999\ngit: .nan\nsteps: 99999999999999999999999999",
		"binary":          "steps: !!binary " + kib(200, "AAAA"),
		"tags":            kib(200, "!x "),
		"words":           "steps: [{type: run, command: '" + kib(250, "a ") + "'}]",
		"parameters":      "parameters: [" + kib(30, "{name: a},") + "]\nsteps: [{type: run, command: '" + kib(50, "${b}") + "'}]",
		"NUL":             "\x00",
		"UTF-16":          "\xff\xfea\x00",
		"not UTF-8":       "a: \xff",
		"C1":              "a: \"" + kib(100, "\u0085") + "\"",
	}
}

// TRUST P1: a hostile file ends in an error soon and in little memory. Memory is
// what was allocated in all, which cannot be less than what was ever in use; time is
// bounded by go test, and logged.
func TestHostileFiles(t *testing.T) {
	const most = 256 << 20
	for name, text := range hostile() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			_, findings := mustLoad(t, one(text))
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			if findings.Err() == nil {
				t.Errorf("no error; findings: %.300v", findings)
			}
			if len(findings) > maxFindings+1 {
				t.Errorf("%d findings", len(findings))
			}
			for _, f := range findings {
				if len(f.String()) > 1000 {
					t.Errorf("a finding of %d bytes: %.200v", len(f.String()), f)
					break
				}
			}
			used := after.TotalAlloc - before.TotalAlloc
			if used > most {
				t.Errorf("took %d MiB; want at most %d", used>>20, most>>20)
			}
			t.Logf("%v, %d MiB, %d findings, first %.120v", took, used>>20, len(findings), findings[:min(1, len(findings))])
		})
	}
}

// Limits say which one it was.
func TestLimitsAreNamed(t *testing.T) {
	big, files, names := files{}, hostile(), strings.Repeat("{name: p%d},", maxParameters+2)
	for i := range 100 {
		big[fmt.Sprintf(".velocityci/blueprints/b%d.yml", i)] = "description: " + strings.Repeat("x", 200<<10)
	}
	var numbers []any
	for i := range maxParameters + 2 {
		numbers = append(numbers, i)
	}
	for want, tree := range map[string]Tree{
		"more than 10000 values":     one(files["alias bomb"]),
		"more than 64 levels":        one(files["levels"]),
		"not UTF-8":                  one(files["not UTF-8"]),
		"NUL byte":                   one(files["NUL"]),
		"larger than 256 KiB":        one(files["too large"]),
		"more than 8 MiB":            big,
		"more than 256 parameters":   one("parameters: [" + fmt.Sprintf(names, numbers...) + "]\nsteps: [{type: run, command: x}]"),
		"more than 10000 words":      one(files["words"]),
		"more findings are not show": one(files["same keys"]),
	} {
		_, findings := mustLoad(t, tree)
		if err := findings.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("findings %.200v; want %q among them", findings, want)
		}
	}
}

type panickingParser struct{}

func (panickingParser) Decode(any) error { panic("please report") }

func TestThePanicsOfTheParserAreErrors(t *testing.T) {
	if err := decode(panickingParser{}, nil); err == nil {
		t.Error("decode() = nil; want an error")
	}
}

// A thousand files that ask for much together are bounded as well.
func TestHostileTrees(t *testing.T) {
	dense, chain, many, big := files{}, files{}, files{}, files{}
	for i := range 1000 {
		var names strings.Builder
		for j := i + 1; j < min(i+100, 1000); j++ {
			fmt.Fprintf(&names, "b%d,", j)
		}
		dense[fmt.Sprintf(".velocityci/blueprints/b%d.yml", i)] = "steps: [{type: run, command: x}, {type: blueprint, names: [" + names.String() + "leaf]}]"
		chain[fmt.Sprintf(".velocityci/blueprints/b%d.yml", i)] = fmt.Sprintf("parameters: [{name: p%d}]\nsteps: [{type: blueprint, name: b%d}]", i, (i+1)%1000)
		big[fmt.Sprintf(".velocityci/blueprints/b%d.yml", i)] = "description: " + strings.Repeat("x", 200<<10)
	}
	for i := range maxFiles + 1 {
		many[fmt.Sprintf(".velocityci/blueprints/b%d.yml", i)] = "steps: [{type: run, command: x}]"
	}
	trees := hostileTasks()
	trees["dense"], trees["chain"], trees["many"], trees["big"] = dense, chain, many, big
	for name, tree := range trees {
		began := time.Now()
		_, findings := mustLoad(t, tree)
		t.Logf("%s: %v", name, time.Since(began))
		if findings.Err() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// hostileTasks are trees whose tasks cost much to look through.
func hostileTasks() map[string]files {
	matrices, inputs, needs := files{}, files{}, files{}
	list := func(format string, n int) string {
		var items []string
		for i := range n {
			items = append(items, fmt.Sprintf(format, i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	for i := range 100 {
		matrices[fmt.Sprintf(".velocityci/blueprints/b%d.yml", i)] = "matrix: {a: " + list("%d", 50) + ", b: " + list("%d", 40) + ", include: " + list("{a: 1, x%d: y}", 100) +
			", exclude: " + list("{a: %d, b: x}", 100) + "}\nsteps: [{type: run, command: '${nothing}'}]"
	}
	names := list("b%d", 99)
	for i := range 1000 {
		file := fmt.Sprintf(".velocityci/blueprints/b%d.yml", i)
		include := fmt.Sprintf("{type: blueprint, name: b%d}", i+1)
		if i == 999 {
			include = "{type: run, command: '${nothing}'}"
		}
		inputs[file] = "inputs: a\nsteps: [" + include + strings.Repeat(", {type: run, image: a@sha256:0, script: x}", 20) + "]"
		needs[file] = "needs: {artifacts: " + names + "}\nsteps: [" + include + "]"
	}
	needs[".velocityci/pipelines/p.yml"] = "stages: [{blueprints: " + list("b%d", 999) + "}, {blueprints: " + list("b%d", 1000) + "}]"
	delete(needs, ".velocityci/blueprints/b0.yml") // a thousand files are the limit
	return map[string]files{"matrices": matrices, "inputs": inputs, "needs": needs}
}

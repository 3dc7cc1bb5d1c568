package blueprint

import (
	"fmt"
	"testing"
)

// A thousand blueprints are read, checked and drawn into one plan; the aim is
// 150 ms. With conditions, every task and every step has one.
func BenchmarkPlan1000Blueprints(b *testing.B) {
	for name, text := range map[string]string{
		"plain": `
parameters: [{name: level, default: quick}]
environment: {LEVEL: "${level}"}
caches: [{key: "go-${level}", paths: [.cache]}]
steps:
  - {type: run, image: alpine, command: "test ${level} ${git.branch.clean}"}
  - {type: run, image: alpine, script: "echo $level"}
`,
		"conditions": `
parameters: [{name: level, default: quick}]
environment: {LEVEL: "${level}"}
caches: [{key: "go-${level}", paths: [.cache]}]
steps:
  - {type: run, image: alpine, command: "test ${level} ${git.branch.clean}", when: 'git.branch == "main" || changed("src/**")'}
  - {type: run, image: alpine, script: "echo $level", when: 'parameters.level == "quick"'}
`,
	} {
		b.Run(name, func(b *testing.B) {
			tree, pipeline := files{}, "stages:\n  - blueprints:\n"
			for i := range maxFiles - 1 {
				tree[fmt.Sprintf(".velocityci/blueprints/b%d.yml", i)] = text
				pipeline += fmt.Sprintf("    - b%d\n", i)
			}
			tree[".velocityci/pipelines/p.yml"] = pipeline
			for b.Loop() {
				c, findings, err := Load(tree)
				if err != nil || len(findings) > 0 {
					b.Fatal(err, findings)
				}
				p, err := c.Draw(request("p", commit()))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := p.Digest(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLoad1000Blueprints(b *testing.B) {
	text := dir(b, "testdata/2019")[".velocityci/blueprints/examples/parameters.yml"]
	tree := files{}
	for i := range maxFiles {
		tree[fmt.Sprintf(".velocityci/blueprints/b%d.yml", i)] = text
	}
	for b.Loop() {
		if _, findings, err := Load(tree); err != nil || len(findings) > 0 {
			b.Fatal(err, findings)
		}
	}
}

package blueprint

import (
	"bytes"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

func compiledSchemas(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	texts, err := Schemas()
	if err != nil {
		t.Fatal(err)
	}
	compiled := map[string]*jsonschema.Schema{}
	for name, text := range texts {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource(name+".json", doc); err != nil {
			t.Fatal(err)
		}
		if compiled[name], err = c.Compile(name + ".json"); err != nil {
			t.Fatal(err)
		}
	}
	return compiled
}

// Every file is judged alike by its schema and by Load with warnings taken for
// errors, as far as keys and kinds of values go.
func TestSchemasAgreeWithLoad(t *testing.T) {
	schemas := compiledSchemas(t)
	for _, test := range []struct {
		kind, text string
		ok         bool
	}{
		{"root", "project: {name: n, logo: l, configPath: .velocityci}\ngit: {depth: 3, submodule: true}", true},
		{"root", "parameters: [{name: a, default: 1, otherOptions: [2, true]}, {use: x, arguments: {a: b}, exports: {c: d}, secret: true, timeout: 5s}]", true},
		{"root", "plugins: [{use: webhook, arguments: {url: 1}, events: [BUILD_START]}]", true},
		{"root", "plugins: [{events: [BUILD_START]}]", false},
		{"root", "proj: {}", false},
		{"root", "environment: {A: 1}", true},
		{"root", "git: {depth: -1}", false},
		{"root", "git: {depth: deep}", false},
		{"pipeline", "checks: tasks\nstages: [{name: s, blueprints: [x]}]", true},
		{"pipeline", "checks: all\nstages: [{name: s, blueprints: [x]}]", false},
		{"pipeline", "priority: -10\nstages: [{name: s, blueprints: [x]}]", true},
		{"pipeline", "priority: 11\nstages: [{name: s, blueprints: [x]}]", false},
		{"pipeline", "priority: high\nstages: [{name: s, blueprints: [x]}]", false},
		{"root", "parameters: [{nam: a}]", false},
		{"root", "parameters: [{name: a, exports: {b: c}}]", false},
		{"blueprint", "steps: [{type: run, image: x, command: a b, environment: [A=1], workingDir: w, mountPoint: /m, network: n, user: u, pull: always, ignoreExitCode: true}]", true},
		{"blueprint", "steps: [{type: run, script: x, description: d, timeout: 1m, ignoreErrors: true, environment: {A: 1}}]", true},
		{"blueprint", "description: d\ntimeout: 60\nsteps: [{type: build, dockerfile: d, context: c, tags: [t]}, {type: push, tags: t}, {type: compose, composeFile: c}]", true},
		{"blueprint", "docker: {registries: [{address: a, username: u, password: '${p}'}]}\nparameters: [{name: p, secret: true}]\nsteps: [{type: run, command: [x, 1]}]", true},
		{"blueprint", "steps: [{type: run, command: x, image: [y]}]", false},
		{"blueprint", "steps: [{type: run, command: {a: b}}]", false},
		{"blueprint", "steps: [{type: push, tags: t, image: i}]", false},
		{"blueprint", "steps: [{type: push}]", false},
		{"blueprint", "steps: [{type: dance}]", false},
		{"blueprint", "steps: [{command: x}]", false},
		{"blueprint", "steps: {type: run, command: x}", false},
		{"blueprint", "description: nothing to do", false},
		{"blueprint", "steps: [{type: run, command: x}]\nmatirx: {}", false},
		{"blueprint", "steps: [{type: run, command: x, always: true, when: build.event == 'push'}]\nmatrix: {a: [1, b], c: d, include: [{a: 1, e: f}], exclude: [{a: 1}]}", true},
		{"blueprint", "steps: [{type: run, command: x}]\nmatrix: {a: [1], include: {a: 1}}", false},
		{"blueprint", "steps: [{type: run, command: x}]\nmatrix: {a: [{b: c}]}", false},
		{"blueprint", "steps: [{type: run, command: x}]\nretries: 3", true},
		{"blueprint", "steps: [{type: run, command: x}]\nretries: {times: 3, backoff: 1m}", true},
		{"blueprint", "steps: [{type: run, command: x}]\nretries: 11", false},
		{"blueprint", "steps: [{type: run, command: x}]\nretries: {backoff: 1m}", false},
		{"blueprint", "environment: {A: 1}\nneeds: {artifacts: [t]}\ncaches: [{key: k, files: go.sum, paths: [p]}]\nartifacts: dist/**\nreports: {junit: [a.xml], sarif: b}\neffects: true\nsteps: [{type: run, command: x}]", true},
		{"blueprint", "caches: [{key: k}]\nsteps: [{type: run, command: x}]", false},
		{"blueprint", "steps: [{type: run, image: i, command: x, services: [{image: 'postgres:16', alias: db, command: a b, environment: [A=1], ready: [c, d]}]}]", true},
		{"blueprint", "steps: [{type: run, image: i, command: x, services: [{alias: db}]}]", false},
		{"blueprint", "steps: [{type: build, tags: t, target: s, args: {A: 1}, platforms: [linux/arm64]}, {type: compose, composeFile: c, service: s}]", true},
		{"pipeline", "description: d\non: {push: {branches: [a], tags: b}, manual: true}\nstages: [{name: s, blueprints: [x, {name: x, parameters: {}, ignoreErrors: true}]}]", true},
		{"pipeline", "stages: [{blueprints: [{nam: x}]}]", false},
		{"pipeline", "on: {pull_request: {}}\nstages: [{blueprints: [x]}]", true},
		{"pipeline", "environment: {A: b}\non: {pull_request: {branches: main, paths: [a/**]}, push: {paths: a}, schedule: [{cron: '0 0 * * *', timezone: UTC}]}\nstages: [{blueprints: [{name: x, when: true}]}]", true},
		{"pipeline", "on: {schedule: [{timezone: UTC}]}\nstages: [{blueprints: [x]}]", false},
		{"pipeline", "on: push\nstages: [{blueprints: [x]}]", false},
		{"pipeline", "on: {}", false},
	} {
		_, findings := mustLoad(t, treeOf(test.kind, test.text))
		var doc any
		if err := yaml.Unmarshal([]byte(test.text), &doc); err != nil {
			t.Fatal(err)
		}
		err := schemas[test.kind].Validate(doc)
		if loads, valid := len(findings) == 0, err == nil; loads != test.ok || valid != test.ok {
			t.Errorf("%s %q: loads %v (%v), valid %v (%v); want %v", test.kind, test.text, loads, findings, valid, err, test.ok)
		}
	}
}

func treeOf(kind, text string) files {
	x := "steps: [{type: run, command: x}]"
	switch kind {
	case "root":
		return files{".velocity.yml": text}
	case "blueprint":
		return one(text)
	default:
		return files{".velocityci/pipelines/p.yml": text, ".velocityci/blueprints/x.yml": x}
	}
}

// The keys of each kind of object are the same in its schema and in the parser.
func TestSchemasHaveTheParsersKeys(t *testing.T) {
	check := func(typ reflect.Type) {
		var got []string
		for p := schemaOf(typ).Properties.Oldest(); p != nil; p = p.Next() {
			got = append(got, p.Key)
			if p.Value.Description == "" {
				t.Errorf("%s.%s has no description", typ.Name(), p.Key)
			}
		}
		slices.Sort(got)
		want := slices.Sorted(maps.Keys(formOf(typ).fields))
		if diff := cmp.Diff(want, got); diff != "" || len(got) == 0 {
			t.Errorf("keys of %s differ (-parser +schema):\n%s", typ.Name(), diff)
		}
	}
	for _, typ := range []reflect.Type{
		reflect.TypeFor[rootFile](), reflect.TypeFor[project](), reflect.TypeFor[gitSettings](), reflect.TypeFor[plugin](),
		reflect.TypeFor[blueprint](), reflect.TypeFor[docker](), reflect.TypeFor[registry](), reflect.TypeFor[basic](), reflect.TypeFor[derived](),
		reflect.TypeFor[needs](), reflect.TypeFor[cache](), reflect.TypeFor[reports](), reflect.TypeFor[service](),
		reflect.TypeFor[pipeline](), reflect.TypeFor[on](), reflect.TypeFor[push](), reflect.TypeFor[pullRequest](), reflect.TypeFor[schedule](), reflect.TypeFor[stage](),
	} {
		check(typ)
	}
	for _, k := range stepKinds() {
		v, _ := k.value(&step{})
		check(reflect.TypeOf(v).Elem())
	}
}

func TestSchemasAreTheSameEveryTime(t *testing.T) {
	one, err := Schemas()
	if err != nil {
		t.Fatal(err)
	}
	two, _ := Schemas()
	if diff := cmp.Diff(one, two); diff != "" {
		t.Errorf("Schemas() differ:\n%s", diff)
	}
	for name, text := range one {
		if !strings.Contains(string(text), "https://json-schema.org/draft/2020-12/schema") {
			t.Errorf("the schema of %s does not name its draft", name)
		}
	}
}

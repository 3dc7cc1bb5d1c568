package storage

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// closed are the schemas without other fields than those they name: what this
// version writes must be described.
var closed = sync.OnceValue(func() map[string]*jsonschema.Schema {
	compiled := map[string]*jsonschema.Schema{}
	for name, t := range records {
		text, err := json.Marshal(recordSchema(t, false))
		if err == nil {
			compiled[name], err = compile(name, text)
		}
		if err != nil {
			panic(err)
		}
	}
	return compiled
})

func compile(name string, schema []byte) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(name, doc); err != nil {
		return nil, err
	}
	return c.Compile(name)
}

// checkSchema asks that each line of data is as the schema of its record says.
func checkSchema(tb rapid.TB, name string, lines []byte) {
	tb.Helper()
	for line := range bytes.Lines(lines) {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err == nil {
			err = closed()[name].Validate(doc)
		}
		if err != nil {
			tb.Fatalf("%s is not as its schema says: %v\n%s", name, err, line)
		}
	}
}

func TestRecordsFollowTheirSchemas(t *testing.T) {
	b, _ := sampleBuild(t)
	trigger, err := encodeTrigger(b.Trigger)
	if err != nil {
		t.Fatal(err)
	}
	checkSchema(t, "trigger", trigger)
	tips, err := encodeTips(map[string]plan.Commit{"refs/heads/main": b.Trigger.Commit})
	if err != nil {
		t.Fatal(err)
	}
	checkSchema(t, tipsFile, tips)
	report, err := encodeReport(reportKey{b.Trigger.Commit, "velocity / default"}, Told{"k3f9a2-1", 7, ToldFinal, "ab", 3, true, b.Created})
	if err != nil {
		t.Fatal(err)
	}
	checkSchema(t, reportFile, report)
	value := "v"
	p := &plan.Plan{
		Version: plan.Version, Kind: plan.OfPipeline, Name: "default", Event: plan.EventPush, Commit: b.Trigger.Commit,
		Git: map[string]string{"git.branch": "main"},
		Stages: []plan.Stage{{Name: "test", Tasks: []plan.Task{{
			Key: "s0t0", Name: "go", Blueprint: "go", Timeout: plan.Duration(60e9),
			Parameters: []plan.Parameter{{Name: "p", Value: &value}, {Secret: true, Derived: &plan.Derived{Use: "bin/p", At: "x:1:1"}}},
			Steps: []plan.Step{
				{Type: plan.StepRun, Name: "go test", At: "x:2:1", Run: &plan.Run{Command: []plan.Text{"go", "test"}}},
				{Type: plan.StepBuild, Name: "image", At: "x:3:1", Build: &plan.ImageBuild{Tags: []plan.Text{"t"}}},
			},
		}}}},
	}
	data, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, data); err != nil {
		t.Fatal(err)
	}
	checkSchema(t, planFile, line.Bytes())
}

// The printed schemas take what this version writes, and what a later one adds.
func TestSchemasAreOpen(t *testing.T) {
	schemas, err := Schemas()
	if err != nil {
		t.Fatal(err)
	}
	schema, err := compile("printed", schemas[buildFile])
	if err != nil {
		t.Fatal(err)
	}
	b, _ := sampleBuild(t)
	data, err := encodeBuild(b)
	if err != nil {
		t.Fatal(err)
	}
	for text, ok := range map[string]bool{
		string(data): true,
		strings.Replace(string(data), `{`, `{"later":true,`, 1):                                                           true,
		strings.Replace(string(data), `"state":"failed"`, `"state":"broken"`, 1):                                          false,
		strings.Replace(string(data), `"id":"k3f9a2-1234"`, `"id":"1234"`, 1):                                             false,
		strings.Replace(string(data), `"number":1234`, `"number":"1234"`, 1):                                              false,
		strings.Replace(string(data), `"created":"2026-11-22T16:05:00.123Z"`, `"created":"2026-11-22T16:05:00+01:00"`, 1): false,
	} {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); (err == nil) != ok {
			t.Errorf("Validate: %v; want ok = %v of\n%s", err, ok, text)
		}
	}
}

package storage

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/invopop/jsonschema"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// records are the stored forms by the names that docs/format.md gives them.
var records = map[string]reflect.Type{
	buildFile:     reflect.TypeFor[buildRecord](),
	eventsFile:    reflect.TypeFor[moveRecord](), // of one line
	planFile:      reflect.TypeFor[plan.Plan](),
	tipsFile:      reflect.TypeFor[tipsRecord](),
	schedulesFile: reflect.TypeFor[schedulesRecord](),
	purgedFile:    reflect.TypeFor[purgedRecord](),
	reportFile:    reflect.TypeFor[reportRecord](),
	outboxFile:    reflect.TypeFor[outboxRecord](),
	"trigger":     reflect.TypeFor[triggerRecord](),
}

// Schemas returns the JSON Schemas (draft 2020-12) of what is stored, made from
// the types that it is written from: build.json, events.jsonl (a line of it),
// plan.json, tips.json, schedules.json, purged.json, report, what a forge was told of
// a check, outbox, what plugins are to be told, and trigger, an inbox record. As within a version fields are only added,
// they allow others than those they name.
func Schemas() (map[string][]byte, error) {
	schemas := map[string][]byte{}
	for name, t := range records {
		s := recordSchema(t, true)
		s.Title = "Velocity " + name + ", version 1"
		text, err := json.MarshalIndent(s, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("print the schema of %s: %w", name, err)
		}
		schemas[name] = append(text, '\n')
	}
	return schemas, nil
}

// recordSchema describes one record; open ones allow fields that it lacks.
func recordSchema(t reflect.Type, open bool) *jsonschema.Schema {
	r := jsonschema.Reflector{
		Anonymous: true, DoNotReference: true, ExpandedStruct: true,
		AllowAdditionalProperties: open, Mapper: wordSchema,
	}
	return r.ReflectFromType(t)
}

// wordSchema describes the types that are one word each, and returns nil for
// others. Each call makes a schema of its own: a description is added to it.
func wordSchema(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[instant]():
		return &jsonschema.Schema{Type: "string", Format: "date-time", Pattern: `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`}
	case reflect.TypeFor[build.ID]():
		return &jsonschema.Schema{Type: "string", Pattern: `^[a-z0-9]{6}-[1-9]\d*$`}
	case reflect.TypeFor[plan.Commit]():
		return &jsonschema.Schema{Type: "string", Pattern: `^([0-9a-f]{40}|[0-9a-f]{64})?$`}
	case reflect.TypeFor[plan.Duration]():
		return &jsonschema.Schema{Type: "string"}
	case reflect.TypeFor[build.State]():
		return words(build.States)
	case reflect.TypeFor[build.Kind]():
		return words(slices.Concat(build.Kinds, []build.Kind{build.Submit, build.Refuse, build.Canceling, build.Approve, build.StepMoved, build.Notice}))
	}
	return nil
}

func words[T ~string](all []T) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "string"}
	for _, word := range all {
		s.Enum = append(s.Enum, string(word))
	}
	return s
}

package blueprint

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"

	"github.com/invopop/jsonschema"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// Schemas returns the JSON Schemas (draft 2020-12) of the files, made from the
// types that Load reads them into: "root", "blueprint" and "pipeline". They are
// as strict as Load with its warnings taken for errors, so that an editor marks a
// misspelt key.
func Schemas() (map[string][]byte, error) {
	schemas := map[string][]byte{}
	for name, t := range map[string]reflect.Type{
		"root": reflect.TypeFor[rootFile](), "blueprint": reflect.TypeFor[blueprint](), "pipeline": reflect.TypeFor[pipeline](),
	} {
		s := schemaOf(t)
		s.Version = jsonschema.Version
		s.Title = "Velocity " + name + " file"
		text, err := json.MarshalIndent(s, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("print the schema of %s files: %w", name, err)
		}
		schemas[name] = append(text, '\n')
	}
	return schemas, nil
}

// schemaOf describes a struct by its tags.
func schemaOf(t reflect.Type) *jsonschema.Schema {
	r := jsonschema.Reflector{
		Anonymous: true, DoNotReference: true, FieldNameTag: "yaml",
		RequiredFromJSONSchemaTags: true, Mapper: schemaOfReader,
	}
	s := r.ReflectFromType(t)
	s.Version = ""
	return s
}

// schemaOfReader describes the types that read themselves, and returns nil for
// others. Each call makes a schema of its own: the description is added to it.
func schemaOfReader(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[word](), reflect.TypeFor[text]():
		return scalarSchema()
	case reflect.TypeFor[condition]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "boolean"}}}
	case reflect.TypeFor[matrix]():
		return matrixSchema()
	case reflect.TypeFor[retries]():
		return eitherSchema(countSchema(plan.MaxRetries), retriesSchema())
	case reflect.TypeFor[words](), reflect.TypeFor[texts](), reflect.TypeFor[command]():
		return &jsonschema.Schema{AnyOf: append(scalarSchema().AnyOf, listSchema(scalarSchema()))}
	case reflect.TypeFor[duration]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "integer"}}}
	case reflect.TypeFor[boolean]():
		return &jsonschema.Schema{Type: "boolean"}
	case reflect.TypeFor[count]():
		return countSchema(0)
	case reflect.TypeFor[priority]():
		return &jsonschema.Schema{Type: "integer", Minimum: json.Number(strconv.Itoa(plan.MinPriority)), Maximum: json.Number(strconv.Itoa(plan.MaxPriority))}
	case reflect.TypeFor[checks]():
		return &jsonschema.Schema{Type: "string", Enum: []any{checksBuild, checksTasks}}
	case reflect.TypeFor[arguments](), reflect.TypeFor[exports]():
		return mapSchema()
	case reflect.TypeFor[environment]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{mapSchema(), listSchema(&jsonschema.Schema{Type: "string"})}}
	case reflect.TypeFor[parameter]():
		return eitherSchema(schemaOf(reflect.TypeFor[basic]()), schemaOf(reflect.TypeFor[derived]()))
	case reflect.TypeFor[entry]():
		return eitherSchema(&jsonschema.Schema{Type: "string"}, entrySchema())
	case reflect.TypeFor[step]():
		return stepSchema()
	}
	return nil
}

// scalarSchema accepts what is taken as it is written.
func scalarSchema() *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "number"}, {Type: "boolean"}}}
}

// countSchema accepts whole numbers up to most; 0 is no limit.
func countSchema(most int) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "integer", Minimum: "0"}
	if most > 0 {
		s.Maximum = json.Number(strconv.Itoa(most))
	}
	return s
}

// matrixSchema has a list for every name but two.
func matrixSchema() *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "object", Properties: jsonschema.NewProperties()}
	s.Properties.Set("include", listSchema(mapSchema()))
	s.Properties.Set("exclude", listSchema(mapSchema()))
	s.AdditionalProperties = &jsonschema.Schema{AnyOf: append(scalarSchema().AnyOf, listSchema(scalarSchema()))}
	return s
}

// retriesSchema goes around the mapper, as entrySchema does.
func retriesSchema() *jsonschema.Schema {
	type plain retries
	s := schemaOf(reflect.TypeFor[plain]())
	if times, ok := s.Properties.Get("times"); ok {
		times.Maximum = countSchema(plan.MaxRetries).Maximum
	}
	return s
}

func listSchema(items *jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "array", Items: items}
}

func mapSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "object", AdditionalProperties: scalarSchema()}
}

func eitherSchema(either ...*jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{OneOf: either}
}

// entrySchema goes around the mapper, which would ask for it again.
func entrySchema() *jsonschema.Schema {
	type plain entry
	return schemaOf(reflect.TypeFor[plain]())
}

// stepSchema has one form for each type of step.
func stepSchema() *jsonschema.Schema {
	var either []*jsonschema.Schema
	for _, k := range stepKinds() {
		v, _ := k.value(&step{})
		s := schemaOf(reflect.TypeOf(v))
		if typ, ok := s.Properties.Get("type"); ok {
			typ.AnyOf, typ.Const = nil, k.name
		}
		either = append(either, s)
	}
	return eitherSchema(either...)
}

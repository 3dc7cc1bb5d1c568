package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/velocity-ci/velocity/app/api"
)

// jsonKind is the media type of most that is sent.
const jsonKind = "application/json"

// buildForm is the name of the schema of builds, which are sent as they are stored.
const buildForm = "Build"

// schemasAt is where schemas are referred to.
const schemasAt = "#/components/schemas/"

// forms are the schemas of all that is sent, made of Go types.
type forms struct {
	schemas map[string]json.RawMessage
	words   map[string]string
	failed  error // the first
}

func newForms(build []byte) *forms {
	f := &forms{schemas: map[string]json.RawMessage{}}
	f.words, f.failed = api.Words()
	var stored map[string]any
	f.note(json.Unmarshal(build, &stored))
	delete(stored, "$schema") // the description says it for all
	f.schemas[buildForm] = f.text(stored)
	f.of(reflect.TypeFor[api.Problem]())
	return f
}

func (f *forms) note(err error) {
	if f.failed == nil {
		f.failed = err
	}
}

func (f *forms) text(v any) json.RawMessage {
	text, err := json.Marshal(v)
	f.note(err)
	return text
}

// of is the schema of a type: a reference to it among the others, or a list of such.
func (f *forms) of(t reflect.Type) json.RawMessage {
	if t == reflect.TypeFor[[]json.RawMessage]() || t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8 {
		return f.text(map[string]any{"type": "array", "items": f.of(t.Elem())})
	}
	r := jsonschema.Reflector{Anonymous: true, AllowAdditionalProperties: true, Mapper: mapped, LookupComment: f.comment}
	s := r.ReflectFromType(t)
	s.Version = ""
	for name, one := range s.Definitions {
		f.schemas[name] = f.text(one)
		f.schemas[name] = json.RawMessage(strings.ReplaceAll(string(f.schemas[name]), "#/$defs/", schemasAt))
	}
	s.Definitions = nil
	return json.RawMessage(strings.ReplaceAll(string(f.text(s)), "#/$defs/", schemasAt))
}

// comment is what is said beside a type or a field.
func (f *forms) comment(t reflect.Type, field string) string {
	if t.PkgPath() != reflect.TypeFor[api.Start]().PkgPath() {
		return ""
	}
	if field != "" {
		field = "." + field
	}
	return f.words[t.Name()+field]
}

// mapped describes what is sent in another form than its type has: builds.
func mapped(t reflect.Type) *jsonschema.Schema {
	if t == reflect.TypeFor[json.RawMessage]() {
		return &jsonschema.Schema{Ref: schemasAt + buildForm}
	}
	return nil
}

// components are the parts that operations refer to.
func (f *forms) components() (map[string]map[string]json.RawMessage, error) {
	refusals := map[string]json.RawMessage{}
	for status, why := range refused {
		refusals[strconv.Itoa(status)] = f.text(openResponse{
			Description: why, Content: map[string]openMedia{jsonKind: {f.of(reflect.TypeFor[api.Problem]())}},
		})
	}
	token := map[string]string{"type": "http", "scheme": "bearer", "description": "An API token, as velocity token create prints it."}
	if f.failed != nil {
		return nil, fmt.Errorf("schemas: %w", f.failed)
	}
	return map[string]map[string]json.RawMessage{
		"schemas": f.schemas, "responses": refusals, "securitySchemes": {"token": f.text(token)},
	}, nil
}

// refused are the statuses of problems, and what they mean.
var refused = map[int]string{
	http.StatusBadRequest:            "The request cannot be understood, or does not say which repository it is about.",
	http.StatusUnauthorized:          "The token is missing, unknown, revoked or expired.",
	http.StatusForbidden:             "The token lacks the right.",
	http.StatusNotFound:              "There is none, or none that the token opens.",
	http.StatusConflict:              "It cannot be as things stand now, or a name means several repositories.",
	http.StatusRequestEntityTooLarge: "The body is larger than 1 MiB.",
	http.StatusUnprocessableEntity:   "A field has a value that it cannot have.",
	http.StatusTooManyRequests:       "Too many tries from this address, or too many streams under this token.",
	http.StatusInternalServerError:   "The server could not do it; its log says why.",
}

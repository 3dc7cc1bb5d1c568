package forgetest

import (
	"fmt"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// notesSpec is how GitLab's documentation describes the notes of merge requests and
// the user of a token, which the cut of its description leaves out.
const notesSpec = `{
"openapi": "3.0.0", "info": {"title": "Notes of merge requests", "version": "v4"},
"paths": {
 "/api/v4/user": {"get": {"responses": {"200": {"description": "The user of the token"}}}},
 "/api/v4/projects/{id}/merge_requests/{merge_request_iid}/notes": {
  "parameters": [
   {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
   {"name": "merge_request_iid", "in": "path", "required": true, "schema": {"type": "integer"}}
  ],
  "get": {
   "parameters": [
    {"name": "sort", "in": "query", "schema": {"type": "string", "enum": ["asc", "desc"]}},
    {"name": "order_by", "in": "query", "schema": {"type": "string", "enum": ["created_at", "updated_at"]}},
    {"name": "page", "in": "query", "schema": {"type": "integer"}},
    {"name": "per_page", "in": "query", "schema": {"type": "integer", "maximum": 100}}
   ],
   "responses": {"200": {"description": "Notes"}}
  },
  "post": {
   "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/note"}}}},
   "responses": {"201": {"description": "Note"}}
  }
 },
 "/api/v4/projects/{id}/merge_requests/{merge_request_iid}/notes/{note_id}": {
  "put": {
   "parameters": [
    {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
    {"name": "merge_request_iid", "in": "path", "required": true, "schema": {"type": "integer"}},
    {"name": "note_id", "in": "path", "required": true, "schema": {"type": "integer"}}
   ],
   "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/note"}}}},
   "responses": {"200": {"description": "Note"}}
  }
 }
},
"components": {"schemas": {"note": {
 "type": "object", "required": ["body"], "properties": {"body": {"type": "string", "minLength": 1, "maxLength": 1000000}}
}}}
}`

// labSpec is GitLab's description with that of the notes, by file.
var labSpec = struct {
	sync.Mutex
	specs map[string]*Spec
}{specs: map[string]*Spec{}}

func loadLabSpec(file string) (*Spec, error) {
	labSpec.Lock()
	defer labSpec.Unlock()
	if s := labSpec.specs[file]; s != nil {
		return s, nil
	}
	doc, err := openapi3.NewLoader().LoadFromFile(file)
	if err != nil {
		return nil, fmt.Errorf("load API description: %w", err)
	}
	notes, err := openapi3.NewLoader().LoadFromData([]byte(notesSpec))
	if err != nil {
		return nil, fmt.Errorf("load description of notes: %w", err)
	}
	for path, item := range notes.Paths.Map() {
		doc.Paths.Set(path, item)
	}
	doc.Servers = openapi3.Servers{{URL: "/"}}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		return nil, fmt.Errorf("route API description: %w", err)
	}
	s := &Spec{doc: doc, router: router}
	labSpec.specs[file] = s
	return s, nil
}

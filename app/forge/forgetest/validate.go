package forgetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// A Spec is a vendor's description of its API. It is safe for concurrent use.
type Spec struct {
	doc    *openapi3.T
	router routers.Router
}

// loaded keeps what was read, by file and multi: reading takes some 20 ms.
var loaded = struct {
	sync.Mutex
	specs map[string]*Spec
}{specs: map[string]*Spec{}}

// LoadSpec reads an OpenAPI description. Parameters of a path stop at slashes; those
// that do not are named with their path in multi, such as
// "/repos/{owner}/{repo}/contents/{path}" with "path" as its last segment.
func LoadSpec(file string, multi ...string) (*Spec, error) {
	loaded.Lock()
	defer loaded.Unlock()
	key := strings.Join(append([]string{file}, multi...), "\n")
	if s := loaded.specs[key]; s != nil {
		return s, nil
	}
	doc, err := openapi3.NewLoader().LoadFromFile(file)
	if err != nil {
		return nil, fmt.Errorf("load API description: %w", err)
	}
	doc.Servers = openapi3.Servers{{URL: "/"}} // prefixes are taken off before
	paths := openapi3.NewPaths()
	for path, item := range doc.Paths.Map() {
		if slices.Contains(multi, path) {
			path = path[:len(path)-1] + ":.+}"
		}
		paths.Set(path, item)
	}
	doc.Paths = paths
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		return nil, fmt.Errorf("route API description: %w", err)
	}
	s := &Spec{doc: doc, router: router}
	loaded.specs[key] = s
	return s, nil
}

// options leave who may ask to the fakes themselves, and errors short.
var options = &openapi3filter.Options{
	AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true, IncludeResponseStatus: true,
	SchemaValidationOptions: []openapi3.SchemaValidationOption{openapi3.DisableSchemaErrorDetails()},
}

// ErrUnknown means that the description does not have such a request.
var ErrUnknown = errors.New("the API description has no such request")

// input finds the operation that a request is for.
func (s *Spec) input(r *http.Request, body []byte) (*openapi3filter.RequestValidationInput, error) {
	r = r.Clone(r.Context())
	r.Body = http.NoBody
	if len(body) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	route, params, err := s.router.FindRoute(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %s %s", ErrUnknown, r.Method, r.URL.Path)
	}
	return &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: options}, nil
}

// CheckRequest finds what is wrong with a request, whose body was read before. It
// is ErrUnknown if there is no such request at all.
func (s *Spec) CheckRequest(r *http.Request, body []byte) error {
	in, err := s.input(r, body)
	if err != nil {
		return err
	}
	return openapi3filter.ValidateRequest(r.Context(), in)
}

// CheckAnswer finds what is wrong with an answer to a request.
func (s *Spec) CheckAnswer(r *http.Request, status int, header http.Header, body []byte) error {
	in, err := s.input(r, nil)
	if err != nil {
		return err
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: status, Header: header, Options: options}
	return openapi3filter.ValidateResponse(r.Context(), out.SetBodyBytes(body))
}

// CheckBody finds what is wrong with a JSON body of a POST to a path of the
// description, which is how webhooks are described. It is ErrUnknown if the
// description does not have the path.
func (s *Spec) CheckBody(path string, body []byte) error {
	item := s.doc.Paths.Value(path)
	if item == nil || item.Post == nil {
		return fmt.Errorf("%w: POST %s", ErrUnknown, path)
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return fmt.Errorf("body of %s: %w", path, err)
	}
	return item.Post.RequestBody.Value.Content.Get("application/json").Schema.Value.VisitJSON(value, openapi3.MultiErrors(), openapi3.DisableSchemaErrorDetails())
}

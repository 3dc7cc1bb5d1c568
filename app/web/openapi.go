package web

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/api"
)

// The parts of an OpenAPI description that ours has, named as there.
type (
	openAPI struct {
		OpenAPI    string                                `json:"openapi"`
		Info       openInfo                              `json:"info"`
		Servers    []openServer                          `json:"servers"`
		Paths      map[string]map[string]openOperation   `json:"paths"`
		Components map[string]map[string]json.RawMessage `json:"components"`
	}
	openInfo struct {
		Title       string `json:"title"`
		Version     string `json:"version"`
		Description string `json:"description"`
	}
	openServer struct {
		URL string `json:"url"`
	}
	openOperation struct {
		ID         string                  `json:"operationId"`
		Tags       []string                `json:"tags"`
		Summary    string                  `json:"summary"`
		Security   []map[string][]string   `json:"security"`
		Parameters []openParameter         `json:"parameters,omitempty"`
		Body       *openBody               `json:"requestBody,omitempty"`
		Responses  map[string]openResponse `json:"responses"`
	}
	openParameter struct {
		Name        string         `json:"name"`
		In          string         `json:"in"`
		Required    bool           `json:"required,omitempty"`
		Description string         `json:"description"`
		Schema      map[string]any `json:"schema"`
	}
	openBody struct {
		Required bool                 `json:"required"`
		Content  map[string]openMedia `json:"content"`
	}
	openResponse struct {
		Ref         string               `json:"$ref,omitempty"`
		Description string               `json:"description,omitempty"`
		Content     map[string]openMedia `json:"content,omitempty"`
	}
	openMedia struct {
		Schema json.RawMessage `json:"schema"`
	}
)

// about is what there is to know before the first request.
const about = "What a Velocity server tells and takes. A request carries an API token, which `velocity token create` makes: " +
	"`Authorization: Bearer vla_…`. Each operation names the right that the token must have: read, act or admin, each with those before it. " +
	"A repository that a token does not open is to it as if it were not there. " +
	"Within version 1 fields and operations are added and none is changed: answers may hold more than is named here. " +
	"Requests may not: a misspelt field or parameter is refused."

// Describe is the description of the API in OpenAPI 3.1, as JSON, made from the
// table of routes and the forms of package api. build is the JSON Schema of a build
// in its stored form.
func Describe(build []byte) ([]byte, error) {
	schemas := newForms(build)
	doc := openAPI{
		OpenAPI: "3.1.0", Info: openInfo{Title: "Velocity", Version: "1", Description: about}, Servers: []openServer{{"/"}},
		Paths: map[string]map[string]openOperation{},
	}
	for _, route := range Routes() {
		method, path, _ := strings.Cut(route.Pattern, " ")
		if !strings.HasPrefix(path, api.Path) {
			continue
		}
		o, ok := operations[route.Pattern]
		if !ok {
			return nil, fmt.Errorf("describe the API: nothing is known of %s", route.Pattern)
		}
		path = strings.ReplaceAll(path, "...", "")
		if doc.Paths[path] == nil {
			doc.Paths[path] = map[string]openOperation{}
		}
		doc.Paths[path][strings.ToLower(method)] = o.describe(route, path, schemas)
	}
	components, err := schemas.components()
	if err != nil {
		return nil, fmt.Errorf("describe the API: %w", err)
	}
	doc.Components = components
	return json.Marshal(doc)
}

// describe is the operation of a route.
func (o operation) describe(route Route, path string, schemas *forms) openOperation {
	d := openOperation{
		ID: o.name, Tags: []string{o.part}, Summary: o.does, Security: []map[string][]string{},
		Parameters: o.parameters(route, path), Responses: map[string]openResponse{},
	}
	if route.Need != Anybody {
		d.Security = append(d.Security, map[string][]string{"token": {string(route.Need)}})
	}
	if o.takes != nil {
		d.Body = &openBody{Required: true, Content: map[string]openMedia{jsonKind: {schemas.of(o.takes)}}}
	}
	done := openResponse{Description: cmp.Or(o.told, "Done.")}
	if o.gives != nil {
		done.Content = map[string]openMedia{cmp.Or(o.kind, jsonKind): {schemas.of(o.gives)}}
	} else if o.kind != "" {
		done.Content = map[string]openMedia{o.kind: {json.RawMessage(`{}`)}} // bytes, of which a schema could say nothing
	}
	d.Responses[strconv.Itoa(o.status)] = done
	for _, status := range o.problems(route) {
		d.Responses[strconv.Itoa(status)] = openResponse{Ref: "#/components/responses/" + strconv.Itoa(status)}
	}
	return d
}

var pathParameter = regexp.MustCompile(`\{(\w+)\}`)

// parameters are those of the path, and those that all requests about one repository
// may have, before the operation's own.
func (o operation) parameters(route Route, path string) []openParameter {
	var all []openParameter
	for _, m := range pathParameter.FindAllStringSubmatch(path, -1) {
		all = append(all, openParameter{Name: m[1], In: "path", Required: true, Description: pathWords[m[1]], Schema: map[string]any{"type": "string"}})
	}
	query := o.query
	if route.On == OnRepository {
		query = slices.Insert(slices.Clone(query), 0, aboutRepository)
		if o.takes != nil {
			query = slices.Insert(query, 1, aboutBuild)
		}
	}
	for _, q := range query {
		all = append(all, openParameter{Name: q.name, In: "query", Description: q.words, Schema: map[string]any{"type": cmp.Or(q.kind, "string")}})
	}
	return all
}

// problems are the statuses with which a request can be refused.
func (o operation) problems(route Route) []int {
	all := append([]int{http.StatusInternalServerError}, o.refuses...)
	if route.Need != Anybody {
		all = append(all, http.StatusUnauthorized, http.StatusForbidden)
	}
	if route.On == OnRepository {
		all = append(all, http.StatusBadRequest, http.StatusNotFound, http.StatusConflict)
	}
	if o.takes != nil {
		all = append(all, http.StatusBadRequest, http.StatusRequestEntityTooLarge)
	}
	if route.follow {
		all = append(all, http.StatusTooManyRequests)
	}
	return all
}

// description answers with the description of the API, which tells nothing of this
// server.
func (f *Front) description(w http.ResponseWriter, r *http.Request, _ *Server) {
	if f.Description == nil {
		f.problem(w, http.StatusNotFound, errors.New("this server does not describe its API"))
		return
	}
	text, err := f.Description()
	if err != nil {
		f.Log.Error("description of the API", "err", err)
		f.problem(w, http.StatusInternalServerError, errors.New("the server could not do it; its log says why"))
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	known(w, r, jsonKind, text)
}

// known answers with content that whoever asks may have already: then it is only
// named.
func known(w http.ResponseWriter, r *http.Request, kind string, content []byte) {
	sum := sha256.Sum256(content)
	w.Header().Set("Content-Type", kind)
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

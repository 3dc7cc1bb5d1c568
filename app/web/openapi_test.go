package web_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/storage"
)

// describe is the description as a server tells it.
func describe() ([]byte, error) {
	schemas, err := storage.Schemas()
	if err != nil {
		return nil, err
	}
	return web.Describe(schemas["build.json"])
}

func described(t *testing.T) *openapi3.T {
	t.Helper()
	text, err := describe()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return doc
}

// The description has the routes of the API and no others, with the rights that they
// need, and says something about each.
func TestDescriptionIsOfTheRoutes(t *testing.T) {
	var want, got []string
	for _, route := range web.Routes() {
		method, path, _ := strings.Cut(route.Pattern, " ")
		if !strings.HasPrefix(path, api.Path) {
			continue
		}
		need := string(route.Need)
		if route.Need == web.Anybody {
			need = ""
		}
		want = append(want, method+" "+strings.ReplaceAll(path, "...", "")+" "+need)
	}
	doc, names := described(t), map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			need := ""
			for _, one := range *o.Security {
				need = strings.Join(one["token"], " ")
			}
			got = append(got, method+" "+path+" "+need)
			if o.OperationID == "" || names[o.OperationID] || !strings.HasSuffix(o.Summary, ".") {
				t.Errorf("%s %s is called %q and said to: %q", method, path, o.OperationID, o.Summary)
			}
			names[o.OperationID] = true
			for _, p := range o.Parameters {
				if p.Value.Description == "" {
					t.Errorf("%s %s: nothing is said of %s", method, path, p.Value.Name)
				}
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the description (+) is not of the routes (-):\n%s", diff)
	}
}

// What selects builds is described as it is read.
func TestDescriptionOfTheList(t *testing.T) {
	v := url.Values{}
	for _, p := range described(t).Paths.Value(api.PathBuilds).Get.Parameters {
		v.Set(p.Value.Name, "x")
	}
	q, err := api.ParseQuery(v)
	if err != nil {
		t.Fatal(err)
	}
	if want := (api.Query{Ref: "x", Commit: "x", Name: "x", Author: "x", Task: "x", State: "x", Since: "x", Until: "x", Before: "x", Limit: "x"}); q != want {
		t.Errorf("the described parameters select by %+v; want %+v", q, want)
	}
}

// The forms are described in the words that stand beside their types.
func TestDescriptionHasTheWords(t *testing.T) {
	doc := described(t)
	for name, one := range doc.Components.Schemas {
		if name != "Build" && one.Value.Description == "" {
			t.Errorf("nothing is said of %s", name)
		}
	}
	ref := doc.Components.Schemas["Start"].Value.Properties["ref"].Value
	if want := `branch, tag, full ref or commit; "" is HEAD`; ref.Description != want {
		t.Errorf("Start.ref is said to be %q; want %q", ref.Description, want)
	}
	build := doc.Components.Schemas["Build"].Value
	if build.Properties["stages"] == nil || !slices.Contains(build.Required, "trigger") {
		t.Errorf("a build has the fields %v", build.Properties)
	}
}

// Everybody may read it, and those who have it are not sent it again.
func TestDescriptionIsServed(t *testing.T) {
	r := newRig(t)
	ask := func(etag string) (*http.Response, map[string]any) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+api.PathDescription, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("If-None-Match", etag)
		resp, err := r.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		doc := map[string]any{}
		if resp.StatusCode == http.StatusOK {
			if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil {
				t.Fatal(err)
			}
		}
		return resp, doc
	}
	resp, doc := ask("")
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/json" || doc["openapi"] != "3.1.0" {
		t.Errorf("%d %v: %v", resp.StatusCode, resp.Header, doc["openapi"])
	}
	if again, _ := ask(resp.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
		t.Errorf("asked again: %d", again.StatusCode)
	}
}

package github

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/velocity-ci/velocity/app/forge"
)

func TestComposeKeepsTheLimits(t *testing.T) {
	long := strings.Repeat("世", 100_000)
	c := forge.Check{
		Name: "velocity / default", External: "b1", Commit: "1111111111111111111111111111111111111111",
		State: forge.Final, Conclusion: forge.Failure, Ended: time.Date(2026, 3, 1, 12, 0, 0, 5, time.FixedZone("", 3600)),
		Title: long, Summary: long, Text: long, Page: "javascript:alert(1)",
		Annotations: []forge.Annotation{{Path: "a.go", Line: 3, Column: 2, Level: "odd", Title: long, Message: long, Raw: long}, {}, {Path: "/b.go"}},
		Actions: []forge.Action{
			{Identifier: forge.DoFailed, Label: long, Description: long}, {Identifier: long, Label: "x"}, {Identifier: "e"},
			{Identifier: "a", Label: "a"}, {Identifier: "b", Label: "b"}, {Identifier: "c", Label: "c"},
		},
	}
	r := compose(c)
	for what, s := range map[string]struct {
		text  string
		limit int
	}{
		"title": {r.Output.Title, 255}, "summary": {r.Output.Summary, 65535}, "text": {r.Output.Text, 65535},
		"label": {r.Actions[0].Label, 20}, "description": {r.Actions[0].Description, 40},
		"annotation title": {r.Output.Annotations[0].Title, 255}, "message": {r.Output.Annotations[0].Message, 64 << 10},
		"details": {r.Output.Annotations[0].Details, 64 << 10},
	} {
		if len(s.text) > s.limit || len(s.text) < s.limit*9/10 && s.limit > 100 {
			t.Errorf("%s has %d bytes; want about %d", what, len(s.text), s.limit)
		}
	}
	if len(r.Actions) != 3 || r.Actions[1] != (action{"a", "a", "a"}) {
		t.Errorf("actions %+v", r.Actions)
	}
	if r.Details != "" {
		t.Errorf("details_url is %q", r.Details)
	}
	if at, _ := json.Marshal(r.Completed); string(at) != `"2026-03-01T11:00:00Z"` {
		t.Errorf("completed_at is %s", at)
	}
	first, second := r.Output.Annotations[0], r.Output.Annotations[1]
	if first.Level != "warning" || first.StartColumn != 2 || first.EndColumn != 2 || first.EndLine != 3 {
		t.Errorf("annotation %+v", first)
	}
	want := annotation{Path: "b.go", StartLine: 1, EndLine: 1, Level: "warning", Message: "(no message)"}
	if diff := cmp.Diff(want, second); diff != "" {
		t.Errorf("empty annotation (-want +got):\n%s", diff)
	}
}

func TestComposeBeforeTheEndHasNoAnnotations(t *testing.T) {
	c := forge.Check{Name: "velocity / default", State: forge.Running, Annotations: []forge.Annotation{{Path: "a", Line: 1, Message: "m"}}}
	r := compose(c)
	if r.Output.Annotations != nil || r.Status != "in_progress" || r.Conclusion != "" || r.Output.Summary == "" || r.Output.Title == "" {
		t.Errorf("compose = %+v", r)
	}
}

func TestDigestTellsRunsApart(t *testing.T) {
	c := forge.Check{Name: "velocity / default", External: "b1", State: forge.Final, Conclusion: forge.Success, Title: "a"}
	one, same := digest(compose(c)), digest(compose(c))
	c.Title = "b"
	if two := digest(compose(c)); one == two || one != same {
		t.Errorf("digests %q, %q and %q", one, same, two)
	}
}

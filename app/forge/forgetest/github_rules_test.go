package forgetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A raw speaks to the API without a client between.
type raw struct {
	t     *testing.T
	g     *GitHub
	token string
}

func newRaw(t *testing.T, g *GitHub, in *Installation) raw {
	t.Helper()
	tok, _, err := asApp(t, g).Apps.CreateInstallationToken(within(t), in.ID(), whole)
	if err != nil {
		t.Fatal(err)
	}
	return raw{t, g, tok.GetToken()}
}

// An answered is the answer to a request, whose body was read.
type answered struct {
	StatusCode int
	Header     http.Header
}

// do makes a request and returns the answer, and what its body is as an object. The
// zero value is no answer.
func (r raw) do(method, path string, body any, headers ...string) (answered, map[string]any) {
	r.t.Helper()
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			r.t.Fatal(err)
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(within(r.t), method, r.g.URL()+path, in)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return answered{}, nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	var out map[string]any
	_ = json.Unmarshal(b, &out)
	return answered{resp.StatusCode, resp.Header}, out
}

// with is an object with some of its keys changed.
func with(o object, more ...any) object {
	n := object{}
	for k, v := range o {
		n[k] = v
	}
	for i := 0; i+1 < len(more); i += 2 {
		n[more[i].(string)] = more[i+1]
	}
	return n
}

func TestBadCheckRunsAreRefused(t *testing.T) {
	t.Parallel()
	t.Run("with the description", func(t *testing.T) { testBadCheckRuns(t, GitHubOptions{}) })
	t.Run("without", func(t *testing.T) { testBadCheckRuns(t, GitHubOptions{Data: none}) })
}

func testBadCheckRuns(t *testing.T, o GitHubOptions) {
	g, _, in, sha := yard(t, o)
	api := newRaw(t, g, in)
	const runs = "/repos/octo/app/check-runs"
	long := strings.Repeat("é", 32768) // 65536 bytes, and half as many characters
	note := object{"path": "a", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "m"}
	button := object{"label": "l", "description": "d", "identifier": "i"}
	good := object{"name": "n", "head_sha": sha}
	output := object{"title": "t", "summary": "s"}
	many := func(n int, o object) (l []object) {
		for range n {
			l = append(l, o)
		}
		return l
	}
	for name, body := range map[string]object{
		"no name":                      {"head_sha": sha},
		"short commit":                 with(good, "head_sha", sha[:8]),
		"completed without conclusion": with(good, "status", "completed"),
		"ended without conclusion":     with(good, "completed_at", "2026-01-01T00:00:00Z"),
		"stale":                        with(good, "conclusion", "stale"),
		"startup_failure":              with(good, "conclusion", "startup_failure"),
		"waiting":                      with(good, "status", "waiting"),
		"no title":                     with(good, "output", object{"summary": "s"}),
		"no summary":                   with(good, "output", object{"title": "s"}),
		"long summary":                 with(good, "output", with(output, "summary", long)),
		"long text":                    with(good, "output", with(output, "text", long)),
		"51 annotations":               with(good, "output", with(output, "annotations", many(51, note))),
		"columns over lines":           with(good, "output", with(output, "annotations", []object{with(note, "end_line", 2, "start_column", 1)})),
		"long message":                 with(good, "output", with(output, "annotations", []object{with(note, "message", long+"x")})),
		"long title":                   with(good, "output", with(output, "annotations", []object{with(note, "title", strings.Repeat("x", 256))})),
		"4 buttons":                    with(good, "actions", many(4, button)),
		"long label":                   with(good, "actions", []object{with(button, "label", strings.Repeat("x", 21))}),
		"long description":             with(good, "actions", []object{with(button, "description", strings.Repeat("x", 41))}),
		"long identifier":              with(good, "actions", []object{with(button, "identifier", strings.Repeat("x", 21))}),
		"odd address":                  with(good, "details_url", "javascript:alert(1)"),
	} {
		before := len(g.Violations())
		if resp, _ := api.do(http.MethodPost, runs, body); resp.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
		if len(g.Violations()) != before+1 {
			t.Errorf("%s is no violation", name)
		}
	}
	before := len(g.Violations())
	for name, body := range map[string]object{
		"good":           good,
		"50 annotations": with(good, "output", with(output, "summary", long[:65534]+"x", "annotations", many(50, note))),
	} {
		if resp, answer := api.do(http.MethodPost, runs, body); resp.StatusCode != http.StatusCreated {
			t.Errorf("%s: %d, %v", name, resp.StatusCode, answer)
		}
	}
	if resp, _ := api.do(http.MethodPost, runs, with(good, "head_sha", zero)); resp.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown commit: %d", resp.StatusCode)
	}
	if len(g.Violations()) != before || len(g.Checks(sha)) != 2 {
		t.Errorf("%d runs, violations %q", len(g.Checks(sha)), g.Violations()[before:])
	}
}

func TestACompletedRunIsFrozen(t *testing.T) {
	t.Parallel()
	g, _, in, sha := yard(t, GitHubOptions{})
	api := newRaw(t, g, in)
	make1 := func(more ...any) (int64, string) {
		_, answer := api.do(http.MethodPost, "/repos/octo/app/check-runs", with(object{"name": "n", "head_sha": sha}, more...))
		id := int64(answer["id"].(float64))
		return id, fmt.Sprintf("/repos/octo/app/check-runs/%d", id)
	}
	id, path := make1("status", "in_progress")
	note := object{"path": "a", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "m"}
	for _, c := range []struct {
		body object
		want int
	}{
		{object{"conclusion": "failure", "output": object{"title": "t", "summary": "s", "annotations": []object{note}}}, 200},
		{object{"output": object{"summary": "s2", "annotations": []object{note, note}}}, 200},
		{object{"status": "completed", "conclusion": "failure"}, 200},
		{object{"status": "in_progress"}, 422},
		{object{"status": "queued"}, 422},
		{object{"conclusion": "success"}, 422},
		{object{"name": ""}, 422},
		{object{"output": object{"title": "t"}}, 422},
	} {
		if resp, answer := api.do(http.MethodPatch, path, c.body); resp.StatusCode != c.want {
			t.Errorf("%v: %d, want %d: %v", c.body, resp.StatusCode, c.want, answer)
		}
	}
	history := g.History(id)
	last := history[len(history)-1]
	if len(history) != 4 || history[0].Status != "in_progress" || len(last.Annotations) != 3 || last.Title != "t" || last.Summary != "s2" {
		t.Errorf("its history is %+v", history)
	}
	again, _ := make1()
	_, answer := api.do(http.MethodGet, "/repos/octo/app/commits/"+sha+"/check-runs?check_name=n", nil)
	if runs := answer["check_runs"].([]any); len(runs) != 1 || int64(at(runs[0], "id").(float64)) != again {
		t.Errorf("the latest are %v, want %d alone", runs, again)
	}
	_, answer = api.do(http.MethodGet, "/repos/octo/app/commits/"+sha+"/check-runs?filter=all", nil)
	if answer["total_count"] != 2.0 {
		t.Errorf("all are %v", answer["total_count"])
	}
	g.Clock.Advance(15 * 24 * time.Hour)
	api = newRaw(t, g, in)
	api.do(http.MethodGet, "/repos/octo/app/commits/"+sha+"/check-runs", nil)
	if now := g.Checks(sha)[1]; now.Conclusion != "stale" {
		t.Errorf("after 15 days it is %s", now.Conclusion)
	}
}

func TestThereIsRoomForAThousandOfAName(t *testing.T) {
	t.Parallel()
	g, r, in, sha := yard(t, GitHubOptions{})
	api := newRaw(t, g, in)
	post := func(path string, body object) int {
		resp, _ := api.do(http.MethodPost, path, body)
		return resp.StatusCode
	}
	for range 3 { // the rest is put there, as 2000 requests take a while
		post("/repos/octo/app/statuses/"+sha, object{"state": "pending", "context": "C"})
	}
	done := g.hold()
	for range 997 {
		r.statuses[sha] = append(r.statuses[sha], with(r.statuses[sha][0]))
	}
	suite := g.suite(r, sha)
	for range 1000 {
		c := &run{repo: r, suite: suite, made: g.Clock.Now()}
		one := CheckRun{ID: g.id(), Suite: suite.id, SHA: sha, Name: "n", Status: "queued"}
		g.become(c, one)
		g.runs[one.ID] = c
	}
	oldest := g.last - 999
	done()
	if got := post("/repos/octo/app/statuses/"+sha, object{"state": "success", "context": "c"}); got != http.StatusUnprocessableEntity {
		t.Errorf("the 1001st status: %d", got)
	}
	if got := post("/repos/octo/app/statuses/"+sha, object{"state": "success"}); got != http.StatusCreated {
		t.Errorf("a status of another context: %d", got)
	}
	if got := post("/repos/octo/app/check-runs", object{"name": "n", "head_sha": sha}); got != http.StatusCreated || g.History(oldest) != nil || len(g.Checks(sha)) != 1000 {
		t.Errorf("the 1001st run: %d, %d runs", got, len(g.Checks(sha)))
	}
	obeyed(t, g)
	if got := post("/repos/octo/app/statuses/"+sha, object{"state": "success", "description": strings.Repeat("é", 141)}); got != http.StatusUnprocessableEntity || len(g.Violations()) != 1 {
		t.Errorf("a long description: %d", got)
	}
	if all := r.Statuses(sha); len(all) != 1001 || all[1000].Context != "default" {
		t.Errorf("%d statuses", len(all))
	}
}

func TestRunsOfOtherAppsAreNotOurs(t *testing.T) {
	t.Parallel()
	g, r, in, sha := yard(t, GitHubOptions{})
	api := newRaw(t, g, in)
	id := r.OtherCheck(sha, "n", "b1")
	count := func(query string) any {
		_, answer := api.do(http.MethodGet, "/repos/octo/app/commits/"+sha+"/check-runs"+query, nil)
		return answer["total_count"]
	}
	if all, own := count(""), count(fmt.Sprintf("?app_id=%d", g.App(t).ID)); all != 1.0 || own != 0.0 {
		t.Errorf("%v runs, %v of our own", all, own)
	}
	resp, _ := api.do(http.MethodPatch, fmt.Sprintf("/repos/octo/app/check-runs/%d", id), object{"conclusion": "success"})
	if resp.StatusCode != http.StatusForbidden || len(g.Violations()) != 1 {
		t.Errorf("changing it: %d, %q", resp.StatusCode, g.Violations())
	}
}

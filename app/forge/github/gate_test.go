package github

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-github/v62/github"
	"github.com/velocity-ci/velocity/app/forge"
)

// noon is when tests of the gate begin.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// refusal is what go-github makes of an answer.
func refusal(status int, message string, headers ...string) error {
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return &github.ErrorResponse{Response: &http.Response{StatusCode: status, Header: h}, Message: message}
}

func TestGateKnowsLimits(t *testing.T) {
	reset := fmt.Sprint(noon.Add(20 * time.Minute).Unix())
	for name, c := range map[string]struct {
		err  error
		want time.Duration
	}{
		"Retry-After on 403":       {refusal(403, "", "Retry-After", "90"), 90 * time.Second},
		"Retry-After on 429":       {refusal(429, "", "Retry-After", "90"), 90 * time.Second},
		"Retry-After as a date":    {refusal(429, "", "Retry-After", noon.Add(time.Hour).Format(http.TimeFormat)), time.Hour},
		"Retry-After without end":  {refusal(429, "", "Retry-After", "99999999"), maxTold},
		"Retry-After in the past":  {refusal(429, "", "Retry-After", "-5"), time.Second},
		"Retry-After that is none": {refusal(429, "", "Retry-After", "soon"), firstPause},
		"nothing left":             {refusal(403, "", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", reset), 20 * time.Minute},
		"nothing left, 429":        {refusal(429, "", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", reset), 20 * time.Minute},
		"only a sentence":          {refusal(403, "You have exceeded a secondary rate limit."), firstPause},
		"an old sentence":          {refusal(403, "You have triggered an abuse detection mechanism."), firstPause},
		"429 alone":                {refusal(429, ""), firstPause},
		"go-github's own kind": {&github.RateLimitError{
			Response: &http.Response{StatusCode: 403, Header: http.Header{
				"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {reset}}},
		}, 20 * time.Minute},
		"go-github's other kind": {&github.AbuseRateLimitError{Response: &http.Response{StatusCode: 403, Header: http.Header{}}}, firstPause},
	} {
		g := &gate{now: func() time.Time { return noon }}
		var limit *forge.LimitError
		if err := g.judge(c.err); !errors.As(err, &limit) {
			t.Errorf("%s: judge = %v; want a limit", name, err)
			continue
		}
		if got := limit.Until.Sub(noon); got != c.want {
			t.Errorf("%s: closed for %v; want %v", name, got, c.want)
		}
		if err := g.open(); !errors.As(err, &limit) {
			t.Errorf("%s: open = %v while it is closed", name, err)
		}
	}
}

func TestGateDoublesItsPauses(t *testing.T) {
	now := noon
	g := &gate{now: func() time.Time { return now }}
	limited := refusal(403, "secondary rate limit")
	var limit *forge.LimitError
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		for range 3 { // which were under way together
			if err := g.judge(limited); !errors.As(err, &limit) || limit.Until.Sub(now) != want*time.Minute {
				t.Fatalf("judge = %v; want %d minutes", err, want)
			}
		}
		if err := g.judge(nil); err != nil { // as was this, sent before
			t.Fatal(err)
		}
		now = limit.Until
		if err := g.open(); err != nil {
			t.Fatalf("open when it is over: %v", err)
		}
	}
	if err := g.judge(nil); err != nil {
		t.Fatal(err)
	}
	if err := g.judge(limited); !errors.As(err, &limit) || limit.Until.Sub(now) != firstPause {
		t.Errorf("after a success: %v; want %v", err, firstPause)
	}
}

func TestGateLeavesOtherGatesLimits(t *testing.T) {
	now := noon
	app := &gate{now: func() time.Time { return now }}
	door := &gate{now: func() time.Time { return now }}
	limited := app.judge(refusal(429, "", "Retry-After", "60"))
	now = now.Add(50 * time.Second)
	var limit *forge.LimitError
	if err := door.judge(limited); !errors.As(err, &limit) || !limit.Until.Equal(noon.Add(time.Minute)) {
		t.Errorf("judge of another gate's limit = %v", err)
	}
	if err := door.open(); err != nil {
		t.Errorf("another gate's limit closed this one: %v", err)
	}
}

func TestFailuresHaveKinds(t *testing.T) {
	g := &gate{now: func() time.Time { return noon }}
	for _, c := range []struct {
		err  error
		want error
	}{
		{refusal(403, "Resource not accessible by integration"), forge.ErrForbidden},
		{refusal(404, "Not Found"), forge.ErrGone},
		{refusal(410, ""), forge.ErrGone},
		{refusal(451, ""), forge.ErrGone},
		{refusal(422, "Validation Failed"), forge.ErrInvalid},
		{refusal(422, "No commit found for SHA: 1"), forge.ErrGone},
		{&failure{status: 422, token: true}, forge.ErrForbidden},
		{refusal(401, ""), nil},
		{refusal(301, "Moved Permanently"), nil},
		{refusal(500, ""), nil},
		{refusal(409, ""), nil},
		{errors.New("connection reset"), nil},
	} {
		err := g.judge(c.err)
		for _, kind := range []error{forge.ErrForbidden, forge.ErrGone, forge.ErrInvalid} {
			if got := errors.Is(err, kind); got != (kind == c.want) {
				t.Errorf("judge(%v) = %v; is %v: %v", c.err, err, kind, got)
			}
		}
		if err := g.open(); err != nil {
			t.Errorf("judge(%v) closed the gate: %v", c.err, err)
		}
	}
}

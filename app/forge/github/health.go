package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/go-github/v62/github"
)

// Health is what can be said of the App from outside.
type Health struct {
	Slug, Name    string
	Page          string        // of the App, for people; "/installations/new" below it installs it
	Skew          time.Duration // of our clock, to the second: positive if it is ahead of GitHub's
	Missing       []Need        // what the App does not ask its owners for: it is changed at the App's settings
	Installations []Installation
}

// MaxSkew is how far a clock may be ahead: GitHub refuses what was signed in its
// future.
const MaxSkew = backdate

// Check asks GitHub what it knows of the App and what was granted to it. If GitHub
// refuses to know the App, the health beside the error still has the skew, which is
// one reason for it.
func (a *App) Check(ctx context.Context) (Health, error) {
	var said struct {
		Slug        string            `json:"slug"`
		Name        string            `json:"name"`
		HTMLURL     string            `json:"html_url"`
		Permissions map[string]string `json:"permissions"`
		Events      []string          `json:"events"`
	}
	before := a.options.Now()
	resp, err := a.self.get(ctx, "app", &said)
	h := Health{Skew: skew(before, a.options.Now(), dateOf(resp, err))}
	if err != nil {
		return h, fmt.Errorf("ask for the App: %w", err)
	}
	h.Slug, h.Name, h.Page = said.Slug, said.Name, said.HTMLURL
	h.Missing = missing(said.Permissions, said.Events)
	h.Installations, err = a.Installations(ctx)
	return h, err
}

// dateOf is the time of an answer, good or bad.
func dateOf(resp *github.Response, err error) string {
	var f *failure
	switch {
	case errors.As(err, &f):
		return f.header.Get("Date")
	case resp != nil:
		return resp.Header.Get("Date")
	}
	return ""
}

// skew compares a date with the time between two moments of ours. A date is of
// whole seconds and is cut off, so less than that says nothing.
func skew(before, after time.Time, date string) time.Duration {
	at, err := http.ParseTime(date)
	if err != nil {
		return 0
	}
	middle := before.Add(after.Sub(before) / 2)
	return middle.Sub(at.Add(time.Second / 2)).Round(time.Second)
}

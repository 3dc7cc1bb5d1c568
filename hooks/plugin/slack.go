package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/velocity-ci/velocity/architect/build"
)

// A Slack sends events to an incoming webhook of Slack, as blocks.
type Slack struct {
	Client *http.Client
	URL    string
}

// Send implements Sender.
func (s *Slack) Send(ctx context.Context, e *Event) error {
	body, err := json.Marshal(message(e))
	if err != nil {
		return fmt.Errorf("encode the message: %w", err)
	}
	return post(ctx, s.Client, s.URL, body, http.Header{"Content-Type": {"application/json; charset=utf-8"}})
}

// A slackMessage is what an incoming webhook takes. Text is what notifications show.
type slackMessage struct {
	Text   string       `json:"text"`
	Blocks []slackBlock `json:"blocks"`
}

type slackBlock struct {
	Type     string         `json:"type"`
	Text     *slackText     `json:"text,omitempty"`
	Fields   []slackText    `json:"fields,omitempty"`
	Elements []slackElement `json:"elements,omitempty"`
}

type slackElement struct {
	Type string    `json:"type"`
	Text slackText `json:"text"`
	URL  string    `json:"url,omitempty"`
}

// A slackText is always plain: no name of a branch mentions a channel or hides where
// a link leads.
type slackText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// Limits of Slack's, in characters.
const (
	maxHeader  = 150
	maxSection = 3000
	maxField   = 2000
)

func plain(text string, most int) slackText {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most-1]) + "…"
	}
	if text == "" {
		text = "-" // Slack takes no empty text
	}
	return slackText{"plain_text", text}
}

// words are how events read.
var words = map[build.EventType]string{
	build.BuildStart: "has begun", build.TaskStart: "has begun", build.TaskComplete: "is over",
	build.TaskSuccess: "succeeded", build.TaskFail: "failed",
	build.BuildComplete: "is over", build.BuildSuccess: "succeeded", build.BuildFail: "failed",
}

// message draws an event.
func message(e *Event) slackMessage {
	b := e.Data.Build
	what, reason, link := b.Name, b.Reason, b.URL
	said := words[e.Data.Event]
	if e.Data.Event == build.BuildComplete {
		said = string(b.State)
	}
	if t := e.Data.Task; t != nil {
		what, reason, link = b.Name+": "+t.Name, t.Reason, t.URL
		if e.Data.Event == build.TaskComplete {
			said = string(t.State)
		}
	}
	title := plain(fmt.Sprintf("%s %s %s", b.Repository, what, said), maxHeader)
	m := slackMessage{Text: escape(title.Text), Blocks: []slackBlock{{Type: "header", Text: &title}}}
	if reason != "" {
		text := plain(reason, maxSection)
		m.Blocks = append(m.Blocks, slackBlock{Type: "section", Text: &text})
	}
	m.Blocks = append(m.Blocks, slackBlock{Type: "section", Fields: fields(&b)})
	if link != "" {
		m.Blocks = append(m.Blocks, slackBlock{Type: "actions", Elements: []slackElement{
			{Type: "button", Text: plain("Open "+b.ID, 75), URL: link},
		}})
	}
	return m
}

// fields say what was built.
func fields(b *Build) []slackText {
	all := []slackText{plain("Build "+b.ID, maxField), plain(fmt.Sprintf("%d/%d tasks", b.Succeeded, b.Tasks), maxField)}
	if b.Ref != "" {
		all = append(all, plain(b.Ref, maxField))
	}
	commit := b.Commit.Short()
	if b.Subject != "" {
		commit += " " + b.Subject
	}
	all = append(all, plain(commit, maxField))
	if b.Author != "" {
		all = append(all, plain(b.Author, maxField))
	}
	if !b.Finished.IsZero() && !b.Started.IsZero() {
		all = append(all, plain("took "+b.Finished.Sub(b.Started).Round(time.Second).String(), maxField))
	}
	return all
}

// escape keeps Slack from reading the one text that is not plain as its markup.
func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/velocity-ci/velocity/app/forge"
)

// maxNote is how long the text of a note of ours may be, in bytes. GitLab takes a
// million characters, which nobody would read.
const maxNote = 60 << 10

// A note is a comment on a merge request.
type note struct {
	ID     int64  `json:"id"`
	Body   string `json:"body"`
	Author user   `json:"author"`
	System bool   `json:"system"`
}

// summary keeps the note of a merge request: it begins with a build that fails, and
// says how later ones ended.
func (p *posting) summary(ctx context.Context) error {
	c := p.check
	if p.gitlab.options.NoSummaries || c.Pull == 0 || c.State != forge.Final || c.Conclusion == forge.ActionRequired ||
		strings.Contains(c.External, "/") { // of a task
		return nil
	}
	bad := p.want.state == failed
	text := p.standIn()
	if bad && c.Summary != "" {
		text += "\n\n" + c.Summary
	}
	err := p.note(ctx, text, bad)
	if errors.Is(err, forge.ErrForbidden) || errors.Is(err, forge.ErrGone) || errors.Is(err, forge.ErrInvalid) {
		// The status is there, which is what counts.
		p.gitlab.options.Log.Warn("no note on a merge request", "project", c.Repository.Name, "build", c.External, "error", err)
		return nil
	}
	return err
}

// standIn says in a note what a status would.
func (p *posting) standIn() string {
	text := fmt.Sprintf("**%s** on %.10s: %s", p.want.name, p.check.Commit, p.want.state)
	if p.want.description != "" {
		text += " – " + p.want.description
	}
	if p.want.target != "" {
		text += fmt.Sprintf("\n\n[Build](<%s>)", p.want.target)
	}
	return text
}

// note makes the one note of the merge request and the check's name say something.
// If there is none, one is made only if it is told to.
func (p *posting) note(ctx context.Context, text string, create bool) error {
	mark := fmt.Sprintf("<!-- %s -->", url.PathEscape(p.want.name))
	body := tame(text) + "\n\n" + mark
	old, err := p.findNote(ctx, mark)
	switch {
	case err != nil:
	case old.ID == 0 && create:
		err = p.gitlab.ask(ctx, http.MethodPost, p.notes(""), map[string]string{"body": body}, nil)
	case old.ID != 0 && old.Body != body:
		err = p.gitlab.ask(ctx, http.MethodPut, p.notes("/%d", old.ID), map[string]string{"body": body}, nil)
	}
	if err != nil {
		return fmt.Errorf("note on merge request %d: %w", p.check.Pull, err)
	}
	return nil
}

func (p *posting) notes(format string, args ...any) string {
	return within(p.check.Repository.ID, "merge_requests/%d/notes", p.check.Pull) + fmt.Sprintf(format, args...)
}

// findNote finds the note with a mark, of ours.
func (p *posting) findNote(ctx context.Context, mark string) (note, error) {
	me, err := p.gitlab.me(ctx)
	if err != nil {
		return note{}, err
	}
	var ours note
	query := url.Values{"order_by": {"created_at"}, "sort": {"asc"}}
	err = list(ctx, p.gitlab, p.notes(""), query, func(some []note) bool {
		for _, n := range some {
			if !n.System && (me == 0 || n.Author.ID == me) && strings.HasSuffix(n.Body, mark) {
				ours = n
				return false
			}
		}
		return true
	})
	return ours, err
}

// command matches where GitLab, or Velocity, would read a command: a build's text
// must not merge or close what it is about in the name of the token's user.
var command = regexp.MustCompile(`(?m)^([ \t>]*)/`)

// tame makes a text fit for a note: without tokens, without commands, without calling
// people, and not longer than is read. What is shortened has its blocks of code closed.
func tame(s string) string {
	s = forge.Redact(strings.ReplaceAll(s, "\r", "\n"))
	s = command.ReplaceAllString(s, `$1\/`)
	s = strings.ReplaceAll(s, "@", "@\u200b")
	s = strings.ReplaceAll(s, "<!--", "&lt;!--")
	if len(s) <= maxNote {
		return s
	}
	s = cut(s, maxNote)
	if strings.Count(s, "```")%2 == 1 {
		s += "\n```"
	}
	return s + "\n\n… (shortened; the whole is on the build's page)"
}

package forgetest

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A labNote is a comment on a merge request.
type labNote struct {
	id   int64
	by   *labUser
	body string
	at   time.Time
}

// A Note is a comment on a merge request, as it is now.
type Note struct {
	ID   int64
	By   string
	Body string
}

// Notes are the comments on a merge request, oldest first.
func (m *Merge) Notes() []Note {
	defer m.to.g.hold()()
	var all []Note
	for _, n := range m.notes {
		all = append(all, Note{ID: n.id, By: n.by.Login, Body: n.body})
	}
	return all
}

// Comment writes on the merge request.
func (m *Merge) Comment(login, body string) {
	defer m.to.g.hold()()
	m.note(m.to.g.user(login), body)
}

// Commands are the quick actions that notes had, such as "/close": GitLab does them
// in the name of who wrote the note.
func (g *GitLab) Commands() []string {
	defer g.hold()()
	return slices.Clone(g.commands)
}

var quick = regexp.MustCompile(`(?m)^/[a-z_]+`)

// heed does what a note commands, as far as that it is known.
func (g *GitLab) heed(body string) { g.commands = append(g.commands, quick.FindAllString(body, -1)...) }

// note adds one and tells it.
func (m *Merge) note(by *labUser, body string) *labNote {
	g := m.to.g
	n := &labNote{id: g.id(), by: by, body: body, at: g.Clock.Now()}
	m.notes = append(m.notes, n)
	g.heed(body)
	g.sendProject(m.to, "note_events", "Note Hook", object{
		"object_kind": "note", "event_type": "note", "user": hookUser(by), "project_id": m.to.id, "project": m.to.hookJSON(),
		"repository": object{"name": m.to.path, "homepage": g.URL() + "/" + m.to.path}, "merge_request": m.attributes(),
		"object_attributes": object{
			"id": n.id, "note": body, "noteable_type": "MergeRequest", "noteable_id": m.id, "author_id": by.ID, "project_id": m.to.id, //nolint:misspell // GitLab's word
			"created_at": stamp(n.at), "updated_at": stamp(n.at), "system": false, "action": "create", "commit_id": nil,
			"url": fmt.Sprintf("%s#note_%d", m.page(), n.id),
		},
	})
	return n
}

func (g *GitLab) noteJSON(m *Merge, n *labNote) object {
	return object{
		"id": n.id, "type": nil, "body": n.body, "author": g.userJSON(n.by), "created_at": stamp(n.at), "updated_at": stamp(n.at),
		"system": false, "noteable_id": m.id, "noteable_type": "MergeRequest", "project_id": m.to.id, "noteable_iid": m.number, //nolint:misspell // GitLab's word
	}
}

// listNotes answers GET /projects/{id}/merge_requests/{merge_request_iid}/notes.
func (g *GitLab) listNotes(q *labRequest) (any, error) {
	m, err := q.merge()
	if err != nil {
		return nil, err
	}
	all := []object{}
	for _, n := range m.notes {
		all = append(all, g.noteJSON(m, n))
	}
	if q.URL.Query().Get("sort") != "asc" {
		slices.Reverse(all)
	}
	return labPage(g, q, all), nil
}

// text is the body that a note shall have. GitLab cuts white space off its ends.
func (q *labRequest) text() (string, error) {
	var ask struct {
		Body string `json:"body"`
	}
	if err := q.decode(&ask); err != nil {
		return "", err
	}
	if body := strings.TrimSpace(ask.Body); body != "" {
		return body, nil
	}
	return "", labRefuse(http.StatusBadRequest, "400 Bad request - Note {:note=>[\"can't be blank\"]}")
}

// createNote answers POST /projects/{id}/merge_requests/{merge_request_iid}/notes.
func (g *GitLab) createNote(q *labRequest) (any, error) {
	m, err := q.merge()
	if err != nil {
		return nil, err
	}
	body, err := q.text()
	if err != nil {
		return nil, err
	}
	return created(g.noteJSON(m, m.note(q.token.user, body))), nil
}

// editNote answers PUT /projects/{id}/merge_requests/{merge_request_iid}/notes/{note_id}.
func (g *GitLab) editNote(q *labRequest) (any, error) {
	m, err := q.merge()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(m.notes, func(n *labNote) bool { return n.id == q.number("note_id") })
	switch {
	case i < 0:
		return nil, labRefuse(http.StatusNotFound, "404 Note Not Found")
	case m.notes[i].by != q.token.user:
		return nil, labRefuse(http.StatusForbidden, "403 Forbidden")
	}
	body, err := q.text()
	if err != nil {
		return nil, err
	}
	m.notes[i].body = body
	g.heed(body)
	return g.noteJSON(m, m.notes[i]), nil
}

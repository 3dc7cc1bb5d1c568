package app_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

// A merge request is built when it is opened, a newer head ends the build of the older
// one, and a closed merge request needs none.
func TestGitLabMergeLife(t *testing.T) {
	w := newVillage(t, forgetest.GitLabOptions{})
	w.builder("b1", "--executor", "host")
	w.push("main", w.onMerge())
	first := w.push("topic", files{"hold": ""})
	m := w.project.OpenMerge(t, forgetest.MergeOptions{Branch: "topic", Author: "ann"})
	if s := w.is(first, "running"); s.Ref != "topic" {
		t.Errorf("the status is of %q; want topic", s.Ref)
	}
	second := w.push("topic", files{"a": "1"})
	w.is(first, "canceled")
	w.is(second, "running")
	m.Close("ann")
	w.is(second, "canceled")
	w.quiet()
	for _, sha := range []string{first, second} {
		if n := len(w.project.Statuses(sha)); n != 1 {
			t.Errorf("%d statuses of %s; want one", n, sha)
		}
	}
}

// The code of a fork waits until a member approves this very commit. Then it has its
// turn, but not on a builder for trusted code.
func TestGitLabFork(t *testing.T) {
	w := newVillage(t, forgetest.GitLabOptions{})
	w.builder("b1", "--executor", "host")
	w.push("main", w.onMerge())
	fork := w.project.Fork(t, "eve")
	old := fork.Push(t, "topic", forgetest.Change{Author: "eve", Files: files{"a": "1"}})
	m := w.project.OpenMerge(t, forgetest.MergeOptions{From: fork, Branch: "topic", Author: "eve"})
	w.is(old, "pending")
	head := fork.Push(t, "topic", forgetest.Change{Author: "eve", Files: files{"a": "2"}})
	held := w.is(head, "pending")
	if held.Ref != "refs/merge-requests/1/head" || !strings.Contains(held.Description, "pprov") {
		t.Errorf("the status is %q on %q; want one of the merge request that asks for an approval", held.Description, held.Ref)
	}
	m.Comment("eve", "/velocity approve "+head)
	w.says(" msg=delivery ", "refused: eve may not write to group/world")
	m.Comment("ann", "/velocity approve")
	w.says(" msg=delivery ", "refused: of a fork, the commit has to be named")
	m.Comment("ann", "/velocity approve "+old)
	w.says(" msg=delivery ", "refused: "+old+" is not the head, ")
	if now := w.is(head, "pending"); now.Description != held.Description {
		t.Errorf("it says %q; want it to wait for an approval still", now.Description)
	}

	m.Comment("ann", "/velocity approve "+head)
	w.says(" msg=move ", "to=ready")
	if strings.Contains(w.said.text(), "to=scheduled") {
		t.Error("a builder for trusted code was given a stranger's")
	}
	m.Comment("ann", "/velocity cancel")
	w.is(head, "canceled")
}

// Comments of members do things to builds, those of others nothing.
func TestGitLabCommands(t *testing.T) {
	w := newVillage(t, forgetest.GitLabOptions{})
	w.builder("b1", "--executor", "host")
	w.push("main", w.onMerge())
	head := w.push("topic", files{"hold": ""})
	m := w.project.OpenMerge(t, forgetest.MergeOptions{Branch: "topic", Author: "ann"})
	w.is(head, "running")
	m.Comment("eve", "/velocity cancel")
	w.says(" msg=delivery ", "refused: eve may not write to group/world")
	m.Comment("ann", "/velocity cancel")
	w.is(head, "canceled")
	m.Comment("eve", "/velocity rerun")
	w.quiet()
	if n := len(w.project.Statuses(head)); n != 1 {
		t.Errorf("%d statuses after a stranger's rerun; want one", n)
	}
	m.Comment("ann", "/velocity rerun")
	w.is(head, "running")
	w.open()
	w.is(head, "success")
	if n := len(w.project.Statuses(head)); n != 2 {
		t.Errorf("%d statuses after a rerun; want two", n)
	}
}

// A merge request whose build fails gets a note, which later builds edit.
func TestGitLabNote(t *testing.T) {
	w := newVillage(t, forgetest.GitLabOptions{})
	w.builder("b1", "--executor", "host")
	w.push("main", w.onMerge())
	head := w.push("topic", files{"broken": ""})
	m := w.project.OpenMerge(t, forgetest.MergeOptions{Branch: "topic", Author: "ann"})
	w.is(head, "failed")
	w.noted(http.MethodPost)
	note := m.Notes()[0]
	if note.By != "velocity" || !strings.Contains(note.Body, "failed") || !strings.Contains(note.Body, head[:10]) {
		t.Errorf("the note is %+v; want one of the server that says that %.10s failed", note, head)
	}
	head = w.project.Push(t, "topic", forgetest.Change{Author: "ann", Remove: []string{"broken"}})
	w.is(head, "success")
	w.noted(http.MethodPut)
	all := m.Notes()
	if len(all) != 1 || all[0].ID != note.ID || !strings.Contains(all[0].Body, "success") || !strings.Contains(all[0].Body, head[:10]) {
		t.Errorf("the notes are %+v; want the same one to say that %.10s passed", all, head)
	}
	if diff := cmp.Diff([]string(nil), w.lab.Commands()); diff != "" {
		t.Errorf("GitLab did what the notes commanded:\n%s", diff)
	}
}

// noted waits until a note was written or edited.
func (w *village) noted(method string) {
	w.t.Helper()
	if _, err := w.lab.WaitCall(atHome(w.t), func(c forgetest.Call) bool {
		return c.Method == method && slices.Contains(strings.Split(c.Path, "/"), "notes")
	}); err != nil {
		w.t.Fatal(err)
	}
}

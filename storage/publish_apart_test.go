package storage_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/storage"
)

// TestPublishApart: notes that others pushed are joined with ours at the remote, and
// do not come here. Nothing there is lost, and no archive is sent.
func TestPublishApart(t *testing.T) {
	hub, commits := newRepo(t, 3)
	dir, _ := newRepo(t, 3)
	own := recorded(t, dir, commits[0])[0]
	forged := "velocity/1 " + own.Store + "-0000000077 default: succeeded push refs/heads/main 1/1 1s 2026-11-22T16:08:09Z \"\""
	cli(t, hub, "notes", "--ref=velocity", "add", "-m", "hello", string(commits[0]))
	cli(t, hub, "notes", "--ref=velocity", "add", "-m", forged, string(commits[1]))
	before := cli(t, hub, "rev-parse", "refs/notes/velocity")
	apart := storage.PublishOptions{NotesOnly: true, Apart: true}
	p := newPlace(t, dir, hub)
	for i := range 2 { // the second goes on from what the first has joined
		ours := cli(t, dir, "rev-parse", "refs/notes/velocity")
		p.published(1, apart)
		p.published(0, apart)
		if after := cli(t, dir, "rev-parse", "refs/notes/velocity"); after != ours {
			t.Errorf("round %d: our notes moved from %s to %s", i, ours, after)
		}
		if note := cli(t, dir, "notes", "--ref=velocity", "show", string(commits[0])); strings.Contains(note, "hello") {
			t.Errorf("round %d: a line of the remote is in our note: %s", i, note)
		}
		note := cli(t, hub, "notes", "--ref=velocity", "show", string(commits[0]))
		if !strings.Contains(note, "hello") || !strings.Contains(note, "default: succeeded") {
			t.Errorf("round %d: the note there lacks a line: %s", i, note)
		}
		cli(t, hub, "merge-base", "--is-ancestor", before, "refs/notes/velocity")
		if more := recorded(t, dir, commits[i+1]); len(more) != 1 {
			t.Fatal("nothing was built")
		}
	}
	p.published(1, apart)
	if got := refs(t, hub, "refs/velocity"); len(got) > 0 {
		t.Errorf("beside notes there are %v", got)
	}
	fsck(t, dir)
	fsck(t, hub)
	p.published(1, storage.PublishOptions{Apart: true}) // archives, too
}

// A publish apart is never forced: what somebody puts there between our look and our
// push is joined in another try.
func TestPublishApartRace(t *testing.T) {
	hub, commits := newRepo(t, 1)
	dir, _ := newRepo(t, 1)
	recorded(t, dir, commits[0])
	cli(t, hub, "config", "receive.denyNonFastForwards", "true")
	p := newPlace(t, dir, hub)
	for range 6 { // so that the next one waits between its list and its push
		cli(t, hub, "update-ref", "-d", "refs/notes/velocity")
		p.published(1, storage.PublishOptions{NotesOnly: true, Apart: true})
	}
	cli(t, hub, "update-ref", "-d", "refs/notes/velocity")
	p.meet = func() { cli(t, hub, "notes", "--ref=velocity", "add", "-m", "between", string(commits[0])) }
	p.published(1, storage.PublishOptions{NotesOnly: true, Apart: true})
	if note := cli(t, hub, "notes", "--ref=velocity", "show", string(commits[0])); !strings.Contains(note, "between") || !strings.Contains(note, "default: succeeded") {
		t.Errorf("the note there lacks a line: %s", note)
	}
	empty, _ := newRepo(t, 0)
	if _, err := newPlace(t, empty, hub).publish(storage.PublishOptions{NotesOnly: true, Apart: true}); !errors.Is(err, storage.ErrNothingBuilt) {
		t.Errorf("without builds: %v; want ErrNothingBuilt", err)
	}
}

package storage_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/ledgertest"
)

// A hurt is a repository with a store, ready to be damaged.
type hurt struct {
	*testing.T
	dir      string
	commits  []plan.Commit
	archived []build.ID // two of them
	live     build.ID   // with two states
}

func newHurt(t *testing.T) *hurt {
	t.Helper()
	h := &hurt{T: t}
	h.dir, h.commits = newRepo(t, 2)
	protect(t, h.dir)
	h.archived = recorded(t, h.dir, h.commits[0], h.commits[1])
	l, release := acquireIn(t, h.dir, nil)
	b := begin(t, l, h.commits[0], 2)
	advance(t, l, b)
	h.live = b.ID
	release()
	return h
}

// copied is the same repository for another test, in a folder of its own: making one
// takes many processes.
func (h *hurt) copied(t *testing.T) *hurt {
	t.Helper()
	other := *h
	other.T, other.dir = t, filepath.Join(t.TempDir(), "repo.git")
	if err := os.CopyFS(other.dir, os.DirFS(h.dir)); err != nil {
		t.Fatal(err)
	}
	return &other
}

// advance records one more move of b.
func advance(tb testing.TB, l *storage.Ledger, b *build.Build) {
	tb.Helper()
	moves, err := b.Do(build.Move{Kind: build.Notice, Reason: "on and on", At: start})
	if err != nil {
		tb.Fatal(err)
	}
	ledgertest.Record(tb, l, build.Change{Build: b.Clone(), Moves: moves})
}

func protect(tb testing.TB, dir string) {
	tb.Helper()
	for _, prefix := range []string{"refs/velocity", "refs/notes/velocity"} {
		cli(tb, dir, "config", "--add", "receive.hideRefs", prefix)
	}
}

func (h *hurt) store() string           { return h.live.Store }
func (h *hurt) ref(name string) string  { return "refs/velocity/" + h.store() + "/" + name }
func (h *hurt) path(name string) string { return filepath.Join(h.dir, name) }
func (h *hurt) git(args ...string) string {
	h.Helper()
	return cli(h, h.dir, args...)
}

// write makes a file that is so old that nobody can be at work on it.
func (h *hurt) write(name, content string) {
	h.Helper()
	path, old := h.path(name), time.Now().Add(-2*time.Hour)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.RemoveAll(path), os.WriteFile(path, []byte(content), 0o644), os.Chtimes(path, old, old)); err != nil {
		h.Fatal(err)
	}
}

func (h *hurt) remove(path string) {
	h.Helper()
	if err := os.Remove(path); err != nil {
		h.Fatal(err)
	}
}

// ownPack is the path of the pack of ours that holds an object, without extension.
func (h *hurt) ownPack(object string) string {
	h.Helper()
	packs, _ := filepath.Glob(h.path("objects/pack/pack-*.idx"))
	for _, index := range packs {
		if strings.Contains(h.git("verify-pack", "-v", index), object) {
			return strings.TrimSuffix(index, ".idx")
		}
	}
	h.Fatalf("no pack has %s", object)
	return ""
}

func (h *hurt) blob(content string) string {
	h.Helper()
	file := filepath.Join(h.TempDir(), "content")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		h.Fatal(err)
	}
	return h.git("hash-object", "-w", file)
}

// commit makes a commit of the tree of rev in which some files are others.
func (h *hurt) commit(rev string, files map[string]string, parents ...string) string {
	h.Helper()
	h.Setenv("GIT_INDEX_FILE", filepath.Join(h.TempDir(), "index"))
	h.git("read-tree", rev)
	for path, content := range files {
		h.git("update-index", "--add", "--cacheinfo", "100644,"+h.blob(content)+","+path)
	}
	args := []string{"commit-tree", "-m", "changed", h.git("write-tree")}
	for _, p := range parents {
		args = append(args, "-p", h.git("rev-parse", p))
	}
	return h.git(args...)
}

func codes(findings []storage.Finding) []storage.Code {
	var all []storage.Code
	for _, f := range findings {
		if !slices.Contains(all, f.Code) {
			all = append(all, f.Code)
		}
	}
	slices.Sort(all)
	return all
}

func check(tb testing.TB, dir string) []storage.Finding {
	tb.Helper()
	r, err := openStore(tb, dir).Check(context.Background(), true)
	if err != nil {
		tb.Fatalf("Check: %v", err)
	}
	return r.Findings
}

// drop removes an object from the repository, whichever pack it is in.
func (h *hurt) drop(objects ...string) {
	h.Helper()
	packs, _ := filepath.Glob(h.path("objects/pack/pack-*"))
	aside := h.TempDir()
	for _, path := range packs {
		if err := os.Rename(path, filepath.Join(aside, filepath.Base(path))); err != nil {
			h.Fatal(err)
		}
	}
	packs, _ = filepath.Glob(filepath.Join(aside, "*.pack"))
	for _, path := range packs {
		file, err := os.Open(path)
		if err != nil {
			h.Fatal(err)
		}
		if out, err := tryWith(h.dir, file, "unpack-objects", "-q"); err != nil {
			h.Fatalf("unpack: %v %s", err, out)
		}
		file.Close()
	}
	for _, object := range objects {
		h.remove(h.path("objects/" + object[:2] + "/" + object[2:]))
	}
}

// Each kind of damage is found by a look that changes nothing, and is mended, or
// put away and named.
func TestEachFinding(t *testing.T) {
	sound := newHurt(t)
	sound.git("update-ref", sound.ref("desk2"), sound.git("rev-parse", sound.ref("archive/0000")+"^"))
	liveName := func(h *hurt) string { return fmt.Sprintf("live/%010d", h.live.Number) }
	for name, c := range map[string]struct {
		damage func(h *hurt)
		codes  []storage.Code
		left   []storage.Code // after the repair
	}{
		"stale-lock":         {func(h *hurt) { h.write("refs/notes/velocity.lock", "") }, []storage.Code{storage.StaleLock}, nil},
		"lock of pack-refs":  {func(h *hurt) { h.write("packed-refs.lock", "") }, []storage.Code{storage.StaleLock}, nil},
		"lock of gc":         {func(h *hurt) { h.write("objects/info/commit-graph.lock", "") }, []storage.Code{storage.StaleLock}, nil},
		"empty-object":       {func(h *hurt) { h.write("objects/ab/"+strings.Repeat("c", 38), "") }, []storage.Code{storage.EmptyObject}, nil},
		"stale-temp":         {func(h *hurt) { h.write("objects/pack/tmp_pack_x", "part") }, []storage.Code{storage.StaleTemp}, nil},
		"index-without-pack": {func(h *hurt) { h.write("objects/pack/pack-"+strings.Repeat("d", 40)+".idx", "part") }, []storage.Code{storage.IndexWithoutPack}, nil},
		"pack-without-index": {func(h *hurt) {
			content, _ := os.ReadFile(h.ownPack(h.git("rev-parse", h.ref(liveName(h)))) + ".pack")
			// Nobody misses an object of it: that would make the index at once.
			h.write("objects/pack/pack-"+strings.Repeat("d", 40)+".pack", string(content))
		}, []storage.Code{storage.PackWithoutIndex}, nil},
		"pack that is damaged, without index": {func(h *hurt) {
			h.write("objects/pack/pack-"+strings.Repeat("d", 40)+".pack", "PACK, more or less, of which nothing can be read")
		}, []storage.Code{storage.PackWithoutIndex}, []storage.Code{storage.SetAside}},
		"bad-index": {func(h *hurt) { flip(h, h.ownPack(h.git("rev-parse", h.ref(liveName(h))))+".idx", -1) },
			[]storage.Code{storage.BadIndex}, nil},
		"bad-pack": {func(h *hurt) { flip(h, h.ownPack(h.git("rev-parse", h.ref("desk2")))+".pack", -3) },
			[]storage.Code{storage.BadPack, storage.Incomplete}, []storage.Code{storage.SetAside}}, // git refuses such a pack as a whole
		"store-file": {func(h *hurt) { h.write("velocity/store", "?") }, []storage.Code{storage.StoreFile}, nil},
		"store-file of one of several": {func(h *hurt) {
			h.remove(h.path("velocity/store"))
			h.git("update-ref", "refs/velocity/zzzzzz/desk", string(h.commits[0]))
		}, []storage.Code{storage.StoreFile}, []storage.Code{storage.StoreFile}},
		"empty-ref":   {func(h *hurt) { h.write(h.ref("live/0000000099"), "") }, []storage.Code{storage.EmptyRef}, []storage.Code{storage.SetAside}},
		"empty notes": {func(h *hurt) { h.write("refs/notes/velocity", "") }, []storage.Code{storage.EmptyRef, storage.MissingNote}, []storage.Code{storage.SetAside}},
		"garbage-ref": {func(h *hurt) { h.write(h.ref("live/0000000099"), "no hash\n") }, []storage.Code{storage.GarbageRef}, []storage.Code{storage.SetAside}},
		"missing-object": {func(h *hurt) { h.write(h.ref("live/0000000002"), strings.Repeat("12", 20)+"\n") },
			[]storage.Code{storage.MissingObject}, []storage.Code{storage.SetAside}},
		"archive that goes back": {func(h *hurt) { h.drop(h.git("rev-parse", h.ref("archive/0000")+"^{tree}")) },
			[]storage.Code{storage.MissingObject}, []storage.Code{storage.StrayNote}},
		"incomplete live build goes back": {func(h *hurt) { h.drop(h.git("rev-parse", h.ref(liveName(h))+":events.jsonl")) },
			[]storage.Code{storage.UnreadableBuild}, nil},
		"incomplete history of a live build": {func(h *hurt) { h.drop(h.git("rev-parse", h.ref(liveName(h))+"^")) },
			[]storage.Code{storage.Incomplete}, nil},
		"incomplete archive": {func(h *hurt) { h.drop(h.git("rev-parse", h.ref("archive/0000")+":00/0000000001/build.json")) },
			[]storage.Code{storage.Incomplete, storage.UnreadableBuild}, []storage.Code{storage.Incomplete, storage.UnreadableBuild}},
		"unreadable-build": {func(h *hurt) { h.git("update-ref", h.ref("live/0000000003"), string(h.commits[0])) },
			[]storage.Code{storage.UnreadableBuild}, []storage.Code{storage.Quarantined}},
		"newer-version": {func(h *hurt) {
			h.git("update-ref", h.ref("inbox/t9"), h.blob(`{"version":7,"id":"t9"}`))
		}, []storage.Code{storage.NewerVersion}, []storage.Code{storage.NewerVersion}},
		"archived-live": {func(h *hurt) {
			h.git("update-ref", h.ref("live/0000000001"), h.git("commit-tree", "-m", "live", h.git("rev-parse", h.ref("archive/0000")+":00/0000000001")))
		}, []storage.Code{storage.ArchivedLive}, nil},
		"archived-other": {func(h *hurt) {
			live := h.commit(h.ref("archive/0000")+":00/0000000001", map[string]string{"plan.json": h.git("show", h.ref("archive/0000")+":00/0000000001/plan.json") + "\n\n"})
			h.git("update-ref", h.ref("live/0000000001"), live)
		}, []storage.Code{storage.ArchivedOther}, []storage.Code{storage.Quarantined}},
		"not-folded": {func(h *hurt) {
			h.git("update-ref", h.ref("live/0000000002"), h.git("commit-tree", "-m", "live", h.git("rev-parse", h.ref("archive/0000")+":00/0000000002")))
			h.git("update-ref", h.ref("archive/0000"), h.ref("archive/0000")+"^")
		}, []storage.Code{storage.NotFolded}, nil},
		"missing-note": {func(h *hurt) { h.git("update-ref", "-d", storage.NotesRef) }, []storage.Code{storage.MissingNote}, nil},
		"stray-note": {func(h *hurt) {
			line := h.git("notes", "--ref=velocity", "show", string(h.commits[0]))
			h.git("notes", "--ref=velocity", "append", "-m", strings.Replace(line, "-0000000001", "-0000000077", 1), string(h.commits[0]))
		}, []storage.Code{storage.SeqBehind, storage.StrayNote}, []storage.Code{storage.StrayNote}},
		"disagreement": {func(h *hurt) {
			h.archive(map[string]string{"events.jsonl": h.git("show", h.ref("archive/0000")+":00/0000000002/events.jsonl") + "\n"})
		}, []storage.Code{storage.Disagreement}, []storage.Code{storage.Disagreement}},
		"log-mismatch": {func(h *hurt) { h.endWith(build.Log{Bytes: 7, Lines: 1, SHA256: strings.Repeat("ab", 32)}, "") },
			[]storage.Code{storage.LogMismatch}, []storage.Code{storage.LogMismatch}},
		"plan-mismatch": {func(h *hurt) { h.endWith(build.Log{}, strings.Repeat("ab", 32)) },
			[]storage.Code{storage.PlanMismatch}, []storage.Code{storage.PlanMismatch}},
		"seq-garbage": {func(h *hurt) { h.git("update-ref", h.ref("seq"), h.blob("many")) }, []storage.Code{storage.SeqGarbage}, nil},
		"seq-behind":  {func(h *hurt) { h.git("update-ref", h.ref("seq"), h.blob("2\n")) }, []storage.Code{storage.SeqBehind}, nil},
		"seq missing": {func(h *hurt) { h.git("update-ref", "-d", h.ref("seq")) }, []storage.Code{storage.SeqBehind}, nil},
		"unreadable-desk": {func(h *hurt) {
			h.git("update-ref", h.ref("desk"), h.commit(string(h.commits[0]), map[string]string{"tips.json": "?"}))
		}, []storage.Code{storage.UnreadableDesk}, []storage.Code{storage.Quarantined}},
		"unreadable-report": {func(h *hurt) {
			h.git("update-ref", h.ref("desk"), h.commit(string(h.commits[0]), map[string]string{
				"tips.json": `{"version":1,"tips":{}}`, "reports/ab/cd/ef.json": "?"}))
		}, []storage.Code{storage.UnreadableReport}, nil},
		"unreadable-outbox": {func(h *hurt) {
			h.git("update-ref", h.ref("desk"), h.commit(string(h.commits[0]), map[string]string{
				"tips.json": `{"version":1,"tips":{}}`, "outbox/0000000001.json": `{"version":1,"build":"zzzzzz-1"}`}))
		}, []storage.Code{storage.UnreadableReport}, nil},
		"unreadable-trigger": {func(h *hurt) { h.git("update-ref", h.ref("inbox/t9"), h.blob("?")) },
			[]storage.Code{storage.UnreadableInbox}, []storage.Code{storage.Quarantined}},
		"unprotected": {func(h *hurt) { h.git("config", "--unset-all", "receive.hideRefs") }, []storage.Code{storage.Unprotected}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := sound.copied(t)
			if found := check(t, h.dir); len(found) > 0 {
				t.Fatalf("before the damage: %+v", found)
			}
			c.damage(h)
			before := readableBuilds(t, h.dir)
			if got := codes(check(t, h.dir)); !slices.Equal(got, c.codes) {
				t.Errorf("found %v, want %v: %+v", got, c.codes, check(t, h.dir))
			}
			mended, left, err := openStore(t, h.dir).Repair(t.Context(), "test", true)
			if err != nil {
				t.Fatalf("Repair: %v", err)
			}
			if got := codes(left); !slices.Equal(got, c.left) {
				t.Errorf("left %v, want %v: %+v\nmended %+v", got, c.left, left, mended)
			}
			if after := readableBuilds(t, h.dir); len(after) < len(before) {
				t.Errorf("readable were %v, and are %v", before, after)
			}
			if again := check(t, h.dir); len(c.left) == 0 && len(again) > 0 {
				t.Errorf("found again: %+v", again)
			}
			if !slices.Contains(c.left, storage.Incomplete) {
				fsck(t, h.dir)
			}
		})
	}
}

// flip changes one byte of a file.
func flip(h *hurt, path string, at int) {
	h.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		h.Fatal(err)
	}
	content[len(content)+at] ^= 0x20
	h.write(strings.TrimPrefix(path, h.dir+"/"), string(content))
}

// archive replaces files of build 1 in the archive.
func (h *hurt) archive(files map[string]string) {
	h.Helper()
	in := map[string]string{}
	for name, content := range files {
		in["00/0000000001/"+name] = content
	}
	h.git("update-ref", h.ref("archive/0000"), h.commit(h.ref("archive/0000"), in, h.ref("archive/0000")))
}

// endWith records a build whose log and plan are said to be others than they are.
func (h *hurt) endWith(log build.Log, digest string) {
	h.Helper()
	folded := make(chan build.ID, 1)
	l, release := acquireIn(h, h.dir, func(id build.ID) { folded <- id })
	id, err := l.Next(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	request := ledgertest.Request(id, h.commits[0], 1)
	request.Plan = digest
	b, moves := build.New(request, start)
	moves = append(moves, b.Open(start)...)
	for _, m := range []build.Move{{Kind: build.Assign}, {Kind: build.Begin}, {Kind: build.Succeed, Log: &log}} {
		m.Task, m.Builder, m.At = plan.Key(0, 0), "b1", start
		made, err := b.Do(m)
		if err != nil {
			h.Fatal(err)
		}
		moves = append(moves, made...)
	}
	text := filepath.Join(h.TempDir(), "log")
	if err := os.WriteFile(text, []byte("other text\n"), 0o600); err != nil {
		h.Fatal(err)
	}
	ledgertest.Record(h, l, build.Change{Build: b, Moves: moves, Logs: []build.LogFile{{Task: plan.Key(0, 0), Attempt: 1, Text: text}}})
	<-folded
	release()
}

// readableBuilds lists the builds of a repository that can be read whole.
func readableBuilds(tb testing.TB, dir string) []build.ID {
	tb.Helper()
	s := openStore(tb, dir)
	listed, _ := s.Builds(context.Background(), storage.Query{Limit: 1000}) //nolint:errcheck // of damage, the rest is what counts
	var ids []build.ID
	for _, b := range listed {
		_, _, err := s.Build(context.Background(), b.ID)
		if _, plan := s.Plan(context.Background(), b.ID); err == nil && plan == nil {
			ids = append(ids, b.ID)
		}
	}
	return ids
}

// What a rollback leaves is said in the build itself.
func TestRollBackIsToldInTheBuild(t *testing.T) {
	h := newHurt(t)
	ref := h.ref(fmt.Sprintf("live/%010d", h.live.Number))
	h.drop(h.git("rev-parse", ref+":events.jsonl"))
	mended, _, err := openStore(t, h.dir).Repair(t.Context(), "test", true)
	if err != nil || len(mended) != 1 {
		t.Fatalf("Repair: %+v, %v", mended, err)
	}
	b, _, err := openStore(t, h.dir).Build(t.Context(), h.live)
	if err != nil || len(b.Notices) != 1 || !strings.HasPrefix(b.Notices[0], "rolled back to move ") {
		t.Errorf("Build = %+v, %v; want a notice", b, err)
	}
}

// A trigger that is quarantined while somebody serves is told, not only found.
func TestQuarantinedTriggerIsTold(t *testing.T) {
	h := newHurt(t)
	l, release := acquireIn(t, h.dir, nil)
	defer release()
	var told []string
	l.Tell(func(found string) { told = append(told, found) })
	h.git("update-ref", h.ref("inbox/t9"), h.blob("?"))
	for range 2 {
		if _, err := l.Pending(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(told) != 1 || !strings.Contains(told[0], "inbox/t9 cannot be read and was quarantined") {
		t.Errorf("told %q; want the trigger once", told)
	}
}

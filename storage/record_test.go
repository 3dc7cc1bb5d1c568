package storage

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// sampleBuild has every field of the stored forms in use, with times finer than
// what is stored.
func sampleBuild(tb testing.TB) (*build.Build, []build.Move) {
	tb.Helper()
	at := time.Date(2026, 11, 22, 17, 5, 0, 123456789, time.FixedZone("", 3600))
	commit := plan.Commit(strings.Repeat("ab", 20))
	task := func(key string, mayFail bool) build.TaskPlan {
		steps := []build.StepPlan{{Type: plan.StepSetup, Name: "setup"}, {Type: plan.StepRun, Name: "go test <&>"}}
		return build.TaskPlan{Key: key, Name: "task " + key, Rules: build.Rules{MayFail: mayFail}, Steps: steps}
	}
	b, moves := build.New(build.Request{
		ID: build.ID{Store: "k3f9a2", Number: 1234}, Repository: "example", Kind: plan.OfPipeline, Name: "default",
		Plan: "d1ge57", Config: commit, Held: true, Author: "Ann <ann@example.org>", Subject: "say <&> why",
		Trigger: plan.Trigger{
			ID: "20261122T160500.123456-0000000000000001", Event: plan.EventManual, Ref: "refs/heads/main", Commit: commit,
			Before: commit, Actor: "ann", Received: at, Name: "default", Parameters: map[string]string{"k": "v"}, Request: "r", Parent: "k3f9a2-1",
			Target: "refs/heads/main", Head: "refs/heads/topic", Trust: plan.TrustStranger, MayApprove: true,
		},
		Stages: []build.StagePlan{
			{Name: "test", Tasks: []build.TaskPlan{task("s0t0", false), task("s0t1", true)}},
			{Name: "deploy", Tasks: []build.TaskPlan{task("s1t0", false)}},
		},
	}, at)
	approved, err := b.Do(build.Move{Kind: build.Approve, At: at, Approval: &build.Approval{Commit: commit, Digest: "d1ge57", By: "<&>"}})
	if err != nil {
		tb.Fatal(err)
	}
	moves = append(append(moves, approved...), b.Open(at)...)
	for _, ask := range []build.Move{
		{Kind: build.Assign, Task: "s0t0", Builder: "b1"},
		{Kind: build.Begin, Task: "s0t0", Attempt: 1},
		{Kind: build.Interrupt, Task: "s0t0", Attempt: 1, Reason: "drained"},
		{Kind: build.Assign, Task: "s0t0", Builder: "b2"},
		{Kind: build.StepMoved, Task: "s0t0", Attempt: 2, Index: 1, Step: &build.Step{State: build.Building, Started: at, Image: "sha256:1", From: 3}},
		{Kind: build.StepMoved, Task: "s0t0", Attempt: 2, Index: 1, Step: &build.Step{
			State: build.Failed, Reason: "exit 2", Exit: 2, Started: at, Finished: at.Add(time.Second), Image: "sha256:1", From: 3, To: 90,
			Images: []build.Image{{Name: "app:1", Digest: "sha256:2"}},
		}},
		{Kind: build.Assign, Task: "s0t1", Builder: "b1"},
		{Kind: build.Canceling, Reason: "superseded"},
		{Kind: build.Fail, Task: "s0t0", Attempt: 2, Reason: "exit 2", Log: &build.Log{Bytes: 90, Lines: 4, SHA256: "5a"}},
		{
			Kind: build.Succeed, Task: "s0t1", Attempt: 1, Log: &build.Log{}, Tests: build.Tests{Passed: 3, Failed: 1, Skipped: 2, Flaky: 1},
			Findings: []build.Finding{{
				Kind: build.FromTest, Name: "TestX", File: "x_test.go", Line: 7, Column: 2, Level: build.LevelError, Message: "<&>", Flaky: true,
			}},
			Artifacts: []build.Artifact{{Name: "bin/x", Size: 9, SHA256: strings.Repeat("0b", 32)}},
		},
		{Kind: build.Notice, Reason: "webhook: 500"},
	} {
		at = at.Add(1234567 * time.Microsecond)
		ask.At = at
		made, err := b.Do(ask)
		if err != nil || len(made) == 0 {
			tb.Fatalf("Do(%s) = %v, %v", ask.Kind, made, err)
		}
		moves = append(moves, made...)
	}
	return b, moves
}

func TestStoredMovesGiveStoredBuild(t *testing.T) {
	b, moves := sampleBuild(t)
	checkStored(t, b, moves)
	data, err := encodeBuild(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		`{"version":1,"id":"k3f9a2-1234","number":1234,"state":"failed","reason":"superseded","seq":`,
		`"created":"2026-11-22T16:05:00.123Z"`, `"received":"2026-11-22T16:05:00.123Z"`, `"name":"go test <&>"`,
		`{"key":"s1t0","name":"task s1t0","state":"waiting","reason":"never ran"`,
		`"lost":[{"attempt":1,"builder":"b1","reason":"drained","ended":"2026-11-22T16:05:03.827Z"}]`,
		`"log":{"bytes":90,"lines":4,"sha256":"5a"}`,
	} {
		if !bytes.Contains(data, []byte(part)) {
			t.Errorf("build.json lacks %s:\n%s", part, data)
		}
	}
}

// checkStored writes a build and its moves and reads both: the moves must add up
// to the build, also in parts appended one after the other.
func checkStored(tb rapid.TB, b *build.Build, moves []build.Move) {
	tb.Helper()
	state, err := encodeBuild(b)
	if err != nil {
		tb.Fatal(err)
	}
	checkSchema(tb, buildFile, state)
	got, err := decodeBuild(state)
	if err != nil {
		tb.Fatal(err)
	}
	var lines []byte
	for i := range moves {
		line, err := encodeMoves(moves[i : i+1])
		if err != nil {
			tb.Fatal(err)
		}
		lines = append(lines, line...)
	}
	checkSchema(tb, eventsFile, lines)
	read, err := decodeMoves(lines)
	if err != nil {
		tb.Fatal(err)
	}
	replayed, err := build.Replay(read)
	if err != nil {
		tb.Fatal(err)
	}
	if diff := cmp.Diff(replayed, got); diff != "" {
		tb.Fatalf("events.jsonl and build.json disagree (-replayed +stored):\n%s", diff)
	}
	if again, err := encodeBuild(got); err != nil || !bytes.Equal(again, state) {
		tb.Fatalf("build.json changes when it is read and written:\n%s%s", state, again)
	}
}

func TestStoredLives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var req build.Request
		req.ID, req.Name = build.ID{Store: "k3f9a2", Number: 1}, "x"
		req.Plan, req.Held = "digest", rapid.Bool().Draw(t, "held")
		for i := range rapid.IntRange(1, 3).Draw(t, "stages") {
			var s build.StagePlan
			for j := range rapid.IntRange(0, 2).Draw(t, "tasks") {
				s.Tasks = append(s.Tasks, build.TaskPlan{
					Key: plan.Key(i, j), Name: rapid.String().Draw(t, "name"), Rules: drawRules(t), Reused: drawOrigin(t),
				})
			}
			req.Stages = append(req.Stages, s)
		}
		at := time.Unix(1700000000, rapid.Int64Range(0, 1e9-1).Draw(t, "at"))
		b, moves := build.New(req, at)
		moves = append(moves, b.Open(at)...)
		kinds := append([]build.Kind{build.Assign, build.Assign, build.Succeed, build.Notice, build.Canceling, build.Approve}, build.Kinds...)
		for range rapid.IntRange(0, 20).Draw(t, "asks") {
			ask := build.Move{
				Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), At: at, Reason: strings.ToValidUTF8(rapid.String().Draw(t, "reason"), "?"),
				Task: plan.Key(rapid.IntRange(0, 2).Draw(t, "stage"), rapid.IntRange(0, 1).Draw(t, "task")),
			}
			if ask.Kind == build.Approve {
				ask.Approval = &build.Approval{Digest: req.Plan, By: "ann"}
			}
			made, _ := b.Do(ask) // what is impossible makes no moves
			moves = append(moves, made...)
			if ask.Kind == build.Approve {
				moves = append(moves, b.Open(at)...)
			}
		}
		checkStored(t, b, moves)
	})
}

func drawRules(t *rapid.T) build.Rules {
	return build.Rules{
		MayFail: rapid.Bool().Draw(t, "mayFail"), Skip: rapid.Bool().Draw(t, "skip"), Effects: rapid.Bool().Draw(t, "effects"),
		Retry:    plan.Retry{Times: rapid.IntRange(0, 2).Draw(t, "times"), Backoff: plan.Duration(rapid.Int64Range(0, 1e9).Draw(t, "backoff") * 1e3)},
		ReuseKey: rapid.SampledFrom([]string{"", "k"}).Draw(t, "key"),
	}
}

func drawOrigin(t *rapid.T) build.Origin {
	return rapid.SampledFrom([]build.Origin{{}, {Build: build.ID{Store: "k3f9a2", Number: 9}, Task: "s0t0"}}).Draw(t, "origin")
}

func TestNewerVersionsAreRefused(t *testing.T) {
	b, moves := sampleBuild(t)
	state, _ := encodeBuild(b)
	events, _ := encodeMoves(moves)
	trigger, _ := encodeTrigger(b.Trigger)
	tips, _ := encodeTips(nil)
	for name, c := range map[string]struct {
		data []byte
		read func([]byte) error
	}{
		"build":   {state, func(d []byte) error { _, err := decodeBuild(d); return err }},
		"events":  {events, func(d []byte) error { _, err := decodeMoves(d); return err }},
		"trigger": {trigger, func(d []byte) error { _, err := decodeTrigger(b.Trigger.ID, d); return err }},
		"tips":    {tips, func(d []byte) error { _, err := decodeTips(d); return err }},
	} {
		if err := c.read(c.data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		newer := bytes.Replace(c.data, []byte(`"version":1`), []byte(`"version":2,"seq":"another type"`), 1)
		var version *VersionError
		if err := c.read(newer); !errors.As(err, &version) || version.Version != 2 || !strings.Contains(err.Error(), "newer velocity") {
			t.Errorf("%s of version 2: %v; want a *VersionError", name, err)
		}
		none := bytes.Replace(c.data, []byte(`"version":1`), []byte(`"version":0`), 1)
		if err := c.read(none); err == nil || errors.As(err, &version) && version.Version == 0 {
			t.Errorf("%s without version: %v; want an error", name, err)
		}
	}
}

func TestContradictionsAreRefused(t *testing.T) {
	b, moves := sampleBuild(t)
	state, _ := encodeBuild(b)
	events, _ := encodeMoves(moves)
	for from, to := range map[string]string{
		`"approval":{"commit":"a`:                            `"approval":{"commit":"--`,
		`"state":"failed","reason":"superseded"`:             `"state":"succeeded","reason":"superseded"`,
		`"number":1234`:                                      `"number":1235`,
		`"id":"k3f9a2-1234"`:                                 `"id":""`,
		`"key":"s0t1"`:                                       `"key":"s0t2"`,
		`"attempt":2`:                                        `"attempt":-2`,
		`"state":"waiting","reason":"never ran"`:             `"state":"lurking"`,
		`"type":"run","name":"go test <&>","state":"failed"`: `"type":"run","name":"go test <&>","state":"ready"`,
		`"created":"2026`:                                    `"created":"9026-13`,
		`abababab`:                                           `--upload`,
		`"sha256":"0b0b`:                                     `"sha256":"../0b`,
		`"size":9`:                                           `"size":-9`,
	} {
		forged := bytes.Replace(state, []byte(from), []byte(to), 1)
		if bytes.Equal(forged, state) {
			t.Fatalf("build.json has no %s:\n%s", from, state)
		}
		if got, err := decodeBuild(forged); err == nil {
			t.Errorf("build.json with %s was read as %s", to, got.State())
		}
	}
	for name, forged := range map[string][]byte{
		"empty": nil, "cut": events[:len(events)-1], "twice": append(bytes.Clone(events), events...),
		"second line lost": append(bytes.Clone(events[:bytes.IndexByte(events, '\n')+1]), events[bytes.LastIndexByte(events[:len(events)-1], '\n')+1:]...),
	} {
		if got, err := decodeMoves(forged); err == nil {
			t.Errorf("events.jsonl that is %s was read as %d moves", name, len(got))
		}
	}
}

func TestNewTriggerID(t *testing.T) {
	now := time.Date(2026, 11, 22, 16, 5, 0, 1000, time.UTC)
	first, second := NewTriggerID(now, 1<<63), NewTriggerID(now.Add(time.Microsecond).In(time.FixedZone("", -7200)), 1)
	if first >= second || !validTriggerID(first) || !validTriggerID(second) {
		t.Errorf("NewTriggerID gives %q, then %q; want sortable ids that can be part of a ref", first, second)
	}
	for _, id := range []string{"", "a/b", "..", "a..b", ".a", "a.", "-x", "a b", "é", strings.Repeat("a", 101)} {
		if validTriggerID(id) {
			t.Errorf("%q passes as a trigger's id", id)
		}
	}
}

// reprint is the oracle of the fuzz targets: what was read is printed, and reads
// as the same again.
func reprint[T any](t *testing.T, data []byte, read func([]byte) (T, error), print func(T) ([]byte, error)) {
	t.Helper()
	v, err := read(data)
	if err != nil {
		return
	}
	printed, err := print(v)
	if err != nil {
		t.Fatalf("cannot print what was read: %v\n%+v", err, v)
	}
	again, err := read(printed)
	if err != nil {
		t.Fatalf("cannot read what was printed: %v\n%s", err, printed)
	}
	if diff := cmp.Diff(v, again); diff != "" {
		t.Fatalf("printed and read again it differs (-first +second):\n%s", diff)
	}
}

func FuzzDecodeBuild(f *testing.F) {
	b, _ := sampleBuild(f)
	data, _ := encodeBuild(b)
	f.Add(data)
	f.Add([]byte(`{"version":1,"id":"k3f9a2-1","number":1,"state":"building","stages":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) { reprint(t, data, decodeBuild, encodeBuild) })
}

func FuzzDecodeMoves(f *testing.F) {
	_, moves := sampleBuild(f)
	data, _ := encodeMoves(moves)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		reprint(t, data, decodeMoves, encodeMoves)
		if moves, err := decodeMoves(data); err == nil {
			_, _ = build.Replay(moves) // forged moves must not make it panic
		}
	})
}

func FuzzDecodeTrigger(f *testing.F) {
	b, _ := sampleBuild(f)
	data, _ := encodeTrigger(b.Trigger)
	f.Add(data)
	f.Add([]byte(`{"version":1,"id":"x","received":"2026-11-22T16:05:00Z","parameters":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		read := func(data []byte) (plan.Trigger, error) { return decodeTrigger("x", data) }
		reprint(t, bytes.Replace(data, []byte(b.Trigger.ID), []byte("x"), 1), read, encodeTrigger)
	})
}

func FuzzDecodeTips(f *testing.F) {
	data, _ := encodeTips(map[string]plan.Commit{"refs/heads/main": plan.Commit(strings.Repeat("1", 40))})
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) { reprint(t, data, decodeTips, encodeTips) })
}

func FuzzDecodeReport(f *testing.F) {
	type whole struct {
		Commit plan.Commit
		Name   string
		Told   Told
	}
	print := func(w whole) ([]byte, error) { return encodeReport(reportKey{w.Commit, w.Name}, w.Told) }
	data, _ := print(whole{plan.Commit(strings.Repeat("1", 40)), "velocity / default", Told{"k3f9a2-12", 7, ToldFinal, "ab", 3, true, time.Unix(1_700_000_000, 0)}})
	f.Add(data)
	f.Add([]byte(`{"version":1,"commit":"1111111111111111111111111111111111111111","name":"\u0000","state":"queued"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		reprint(t, data, func(data []byte) (whole, error) {
			k, r, err := decodeReport(data)
			return whole{k.commit, k.name, r}, err
		}, print)
	})
}

func FuzzDecodePurged(f *testing.F) {
	data, _ := encodePurged(map[build.ID]time.Time{{Store: "k3f9a2", Number: 12}: time.Unix(1_700_000_000, 123456789)})
	f.Add(data)
	f.Add([]byte(`{"version":1,"purged":{"k3f9a2-0000000012":"2026-11-22T16:05:00Z"}}`))
	f.Fuzz(func(t *testing.T, data []byte) { reprint(t, data, decodePurged, encodePurged) })
}

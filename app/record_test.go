package app_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/spool"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/git"
)

// record is a command of scripts, `record succeeded|failed|building`: it stores
// a build of HEAD with two tasks, the second of which ends like this.
func record(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: record STATE")
	}
	ts.Check(recordBuild(context.Background(), ts.MkAbs("."), ts.MkAbs(".home"), build.State(args[0])))
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func recordBuild(ctx context.Context, dir, scratch string, end build.State) (err error) {
	repo, err := git.Open(ctx, dir)
	if err != nil {
		return err
	}
	ref, head, err := repo.Head()
	if err != nil {
		return err
	}
	ledger, err := storage.Open(repo, func() time.Time { return noon }).Acquire(ctx, "test", nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ledger.Release(ctx)) }()
	id, err := ledger.Next(ctx)
	if err != nil {
		return err
	}
	b, moves := build.New(request(id, ref, head), noon)
	moves = append(moves, b.Open(noon)...)
	asks := []build.Move{
		{Kind: build.Assign, Task: "s0t0", Builder: "b1"}, {Kind: build.Begin, Task: "s0t0"}, {Kind: build.Succeed, Task: "s0t0", Log: &build.Log{Bytes: 20, Lines: 2}},
		{Kind: build.Assign, Task: "s1t0", Builder: "b1"}, {Kind: build.Begin, Task: "s1t0"},
	}
	switch end {
	case build.Succeeded:
		asks = append(asks, build.Move{Kind: build.Succeed, Task: "s1t0"})
	case build.Failed:
		asks = append(asks, build.Move{Kind: build.Fail, Task: "s1t0", Reason: "exit 2"})
	}
	for i, ask := range asks {
		ask.At = noon.Add(time.Duration(i) * time.Second)
		made, err := b.Do(ask)
		if err != nil {
			return err
		}
		moves = append(moves, made...)
	}
	logs, err := writeLog(scratch, id)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	ledger.Append(build.Change{Build: b, Moves: moves, Logs: logs}, func(err error) { done <- err })
	return <-done
}

func request(id build.ID, ref string, head git.Hash) build.Request {
	task := func(key, name string) build.StagePlan {
		steps := []build.StepPlan{{Type: plan.StepSetup, Name: "setup"}, {Type: plan.StepRun, Name: "make " + name}}
		return build.StagePlan{Name: name + " stage", Tasks: []build.TaskPlan{{Key: key, Name: name, Steps: steps}}}
	}
	return build.Request{
		ID: id, Repository: "example", Kind: plan.OfPipeline, Name: "default",
		Author: "Ann <ann@example.org>", Subject: "say why",
		Trigger: plan.Trigger{
			ID: fmt.Sprintf("t%d", id.Number), Event: plan.EventPush, Ref: ref, Commit: plan.Commit(head.String()), Actor: "bob", Received: noon,
		},
		Stages: []build.StagePlan{task("s0t0", "unit"), task("s1t0", "deploy")},
	}
}

// writeLog makes a log of two lines, the second 1.25 s after the first.
func writeLog(dir string, id build.ID) ([]build.LogFile, error) {
	at := noon
	base := id.String()
	log := spool.Create(dir, base, spool.Options{Now: func() time.Time { return at }})
	step := log.Step()
	fmt.Fprintf(step.Stdout, "line one\n")
	at = at.Add(1250 * time.Millisecond)
	fmt.Fprintf(step.Stdout, "\x1b[2Jtwo\n")
	err := errors.Join(step.Stdout.Close(), step.Stderr.Close())
	step.Close()
	if _, closed := log.Close(); errors.Join(err, closed) != nil {
		return nil, errors.Join(err, closed)
	}
	path := filepath.Join(dir, base)
	return []build.LogFile{{Task: "s0t0", Attempt: 1, Text: path + ".txt", Times: path + ".times"}}, nil
}

package store

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A history is what a project that has been built n times looks like: two builds a
// commit, each of ten tasks with five steps and the setup, of which one in five
// has a task that fails. It depends on n and the seed alone.
type history struct {
	n       int
	seed    uint64
	logs    bool // about 20 KiB a build
	commits []commit
	made    *plan.Plan
}

type commit struct {
	hash    plan.Commit
	who     string // as in a commit object
	author  string
	subject string
	message string
}

const (
	stages, perStage = 5, 2
	steps            = 5
	developers       = 20
	topics           = 30
)

func newHistory(n int, seed uint64, logs bool) *history {
	h := &history{n: n, seed: seed, logs: logs}
	parent := plan.Commit("")
	for i := range (n + 1) / 2 {
		r := h.random(uint64(i), 1)
		d := r.IntN(developers)
		c := commit{author: fmt.Sprintf("Developer %c <dev%d@example.org>", 'A'+d, d)}
		c.who = fmt.Sprintf("%s %d +0000", c.author, h.at(2*i).Unix())
		c.subject = fmt.Sprintf("Change %s so that %s", word(r), word(r))
		c.message = c.subject + "\n\n" + strings.Repeat("Because of "+word(r)+".\n", 1+r.IntN(5))
		c.hash = commitHash(parent, c.who, c.message)
		parent = c.hash
		h.commits = append(h.commits, c)
	}
	h.made = h.plan()
	return h
}

// random is the source for one thing of a kind.
func (h *history) random(i, kind uint64) *rand.Rand { return rand.New(rand.NewPCG(h.seed, i<<3|kind)) }

func word(r *rand.Rand) string {
	words := strings.Fields("parser cache queue builder login search index report mirror release upload session invoice graph")
	return fmt.Sprintf("%s %d", words[r.IntN(len(words))], r.IntN(1000))
}

// commitOf is the index of the commit that a build is of.
func commitOf(number int) int { return (number - 1) / 2 }

func (h *history) commit(i int) commit { return h.commits[i] }

// at is when a build was submitted: one each three minutes.
func (h *history) at(number int) time.Time {
	return time.Date(2024, 1, 1, 8, 0, 0, 0, time.UTC).Add(time.Duration(number) * 3 * time.Minute)
}

func topic(i int) string { return fmt.Sprintf("refs/heads/topic-%d", i%topics) }

// branches maps the branches beside main to commits.
func (h *history) branches() map[string]int {
	tips := map[string]int{}
	for i := range h.commits {
		tips[topic(i)] = i
	}
	return tips
}

// plan is about 3 KB, and like the plans of most builds the same as before.
func (h *history) plan() *plan.Plan {
	p := &plan.Plan{Version: plan.Version, Kind: plan.OfPipeline, Name: "default"}
	for s := range stages {
		stage := plan.Stage{Name: fmt.Sprintf("stage %d", s)}
		for t := range perStage {
			task := plan.Task{Key: plan.Key(s, t), Name: taskName(s, t), Blueprint: taskName(s, t)}
			for i := range steps {
				task.Steps = append(task.Steps, plan.Step{Type: plan.StepRun, Name: stepName(i)})
			}
			stage.Tasks = append(stage.Tasks, task)
		}
		p.Stages = append(p.Stages, stage)
	}
	return p
}

func taskName(s, t int) string { return fmt.Sprintf("check-%d-%d", s, t) }
func stepName(i int) string    { return fmt.Sprintf("go test ./part%d", i) }

// build is the finished build of a number, with its moves and its plan.
func (h *history) build(number int) (*build.Build, []build.Move, *plan.Plan) {
	i := commitOf(number)
	c, r := h.commits[i], h.random(uint64(number), 2)
	at, ref, name := h.at(number), "refs/heads/main", "default"
	if r.IntN(3) > 0 {
		ref = topic(i)
	}
	if number%2 == 0 {
		name = "nightly"
	}
	p := *h.made
	p.Name, p.Commit, p.ConfigCommit, p.Ref = name, c.hash, c.hash, ref
	b, moves := build.New(build.Request{
		ID: build.ID{Store: storeID, Number: int64(number)}, Repository: "bench", Kind: p.Kind, Name: name,
		Plan: fmt.Sprintf("%064x", number), Config: c.hash, Author: c.author, Subject: c.subject,
		Trigger: plan.Trigger{ID: fmt.Sprintf("t%d", number), Event: plan.EventPush, Ref: ref, Commit: c.hash, Actor: "git", Received: at},
		Stages:  build.Outline(&p),
	}, at)
	g := &going{b: b, moves: append(moves, b.Open(at)...), at: at, r: r, failing: -1}
	if r.IntN(5) == 0 {
		g.failing = r.IntN(stages * perStage)
	}
	g.run()
	return b, g.moves, &p
}

// going lets a build go on to its end.
type going struct {
	b       *build.Build
	moves   []build.Move
	at      time.Time
	r       *rand.Rand
	failing int // index of the task that fails, or negative
}

func (g *going) do(m build.Move) {
	g.at = g.at.Add(time.Duration(5+g.r.IntN(3000)) * time.Millisecond)
	m.At = g.at
	made, err := g.b.Do(m)
	if err != nil {
		panic(err) // a mistake of the generator
	}
	g.moves = append(g.moves, made...)
}

func (g *going) run() {
	for s := range stages {
		for t := range perStage {
			g.task(plan.Key(s, t), s*perStage+t == g.failing)
		}
		if g.b.State().Final() {
			return
		}
	}
}

func (g *going) task(key string, fails bool) {
	g.do(build.Move{Kind: build.Assign, Task: key, Builder: fmt.Sprintf("builder-%d", g.r.IntN(8))})
	g.do(build.Move{Kind: build.Begin, Task: key, Attempt: 1})
	size := int64(0)
	for i := range steps + 1 {
		began, end := g.at, build.Succeeded
		g.do(build.Move{Kind: build.StepMoved, Task: key, Attempt: 1, Index: i, Step: &build.Step{State: build.Building, Started: began, From: size}})
		done := build.Step{State: end, Started: began, Finished: g.at, From: size, To: size + logLine}
		if fails && i == steps {
			done.State, done.Reason, done.Exit = build.Failed, "exit 1", 1
		}
		g.do(build.Move{Kind: build.StepMoved, Task: key, Attempt: 1, Index: i, Step: &done})
		size += logLine
	}
	log := &build.Log{Bytes: size, Lines: steps + 1, SHA256: fmt.Sprintf("%064x", g.r.Uint64())}
	if fails {
		g.do(build.Move{Kind: build.Fail, Task: key, Attempt: 1, Reason: stepName(steps-1) + ": exit 1", Log: log})
		return
	}
	g.do(build.Move{Kind: build.Succeed, Task: key, Attempt: 1, Log: log})
}

const logLine = 340 // bytes of a step's output

// logged are the tasks of a build that left a log.
func (h *history) logged(b *build.Build) []string {
	var keys []string
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			if t := &b.Stages[i].Tasks[j]; h.logs && t.Attempt > 0 {
				keys = append(keys, t.Key)
			}
		}
	}
	return keys
}

// log is the text of a task's log and the times of its lines.
func (h *history) log(b *build.Build, task string) (text, times []byte) {
	r := h.random(uint64(b.ID.Number), 3)
	for i := range steps + 1 {
		line := fmt.Sprintf("%s %s ok %d.%03ds ", task, stepName(i), r.IntN(60), r.IntN(1000))
		for len(line) < logLine-1 {
			line += word(r) + " "
		}
		text = append(text, line[:logLine-1]+"\n"...)
		times = fmt.Appendf(times, "%d\n", b.Created.UnixMilli()+int64(i)*1000)
	}
	return text, times
}

func TestHistoryIsRealistic(t *testing.T) {
	h := newHistory(500, 1, false)
	failed, people, branches := 0, map[string]bool{}, map[string]bool{}
	for number := 1; number <= h.n; number++ {
		b, _, p := h.build(number)
		if !b.State().Final() {
			t.Fatalf("build %d is %s", number, b.State())
		}
		if b.State() == build.Failed {
			failed++
		}
		people[b.Author], branches[b.Trigger.Ref] = true, true
		if data, err := p.Encode(); err != nil || len(data) < 1000 || len(data) > 20000 {
			t.Fatalf("the plan of build %d has %d bytes, %v", number, len(data), err)
		}
	}
	if failed < 60 || failed > 140 || len(people) != developers || len(branches) != topics+1 {
		t.Errorf("%d of %d failed, %d authors, %d branches; want one in five, %d, %d", failed, h.n, len(people), len(branches), developers, topics+1)
	}
}

package report

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
)

// hundred is a build of a hundred tasks, of which every tenth failed.
func hundred(tb testing.TB, number int64) *site {
	stages := make([][]string, 10)
	for i := range stages {
		for j := range 10 {
			stages[i] = append(stages[i], fmt.Sprintf("task %d of stage %d", j, i))
		}
	}
	s := newSite(tb, request(number, stages...))
	for i := range s.b.Stages {
		s.b.Stages[i].Tasks[3].MayFail = true
	}
	s.open()
	for i := range s.b.Stages {
		for j, t := range s.b.Stages[i].Tasks {
			if j == 3 {
				s.run(t.Key, build.Fail, because("exit 1"), tailed)
			} else {
				s.run(t.Key, build.Succeed)
			}
		}
	}
	return s
}

// One check of a build of a hundred tasks.
func BenchmarkCompose(b *testing.B) {
	c, s := composer(), hundred(b, 1).shown()
	for b.Loop() {
		for _, subject := range c.Subjects(s) {
			c.Check(subject)
		}
	}
}

// posted is a forge that tells when it was asked.
type posted chan forge.Check

func (p posted) Post(_ context.Context, c forge.Check, told forge.Told) (forge.Told, error) {
	p <- c
	return forge.Told{ID: 1, Done: c.State == forge.Final}, nil
}

// From a change of a build to the call of the Poster, by a memory that costs
// nothing; calls are those that a build of a hundred tasks takes whose moves are all
// told while the forge answers at once.
func BenchmarkChanged(b *testing.B) {
	p, g := make(posted), newRig(1, 0)
	r := &Reporter{
		Compose: &Composer{}, Posters: map[forge.Kind]forge.Poster{forge.GitHub: p}, Memory: books{g.memory, b.Context()}, Source: g.source,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now, Jitter: rand.Float64,
	}
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); r.Run(ctx) }()
	number := int64(0)
	for b.Loop() {
		number++
		s := newSite(b, request(number, []string{"unit"})).open().shown()
		s.Repository.Installation = number // a lane of its own: no limit is met
		r.Changed(s)
		<-p
	}
	stop()
	<-ended
}

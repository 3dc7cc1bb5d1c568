package app

import (
	"context"
	"errors"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/client"
	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/architect/build"
)

// followLogs shows the log of one task, or the progress of the whole build, until
// the build is over. What is over is printed as it is stored.
func (c *cli) followLogs(ctx context.Context, from place, args []string) error {
	r, err := c.books(ctx, from)
	if err != nil {
		return err
	}
	b, err := r.build(ctx, args[0])
	if err != nil {
		return err
	}
	if b.State().Final() {
		return c.logs(ctx, from, args, 0, false)
	}
	display, closeDisplay := c.progress(c.Out)
	defer closeDisplay()
	see := newFollower(display).see
	if len(args) > 1 {
		t, err := findTask(b, args[1])
		if err != nil {
			return err
		}
		see = onlyTask(display, b.ID, t)
	}
	err = r.live().FollowBuild(ctx, b.ID.String(), see)
	if errors.Is(err, client.ErrNoServer) {
		return &failure{status: statusProblem, err: err, advice: "the build is unfinished: velocity serve goes on with it"}
	}
	return err
}

// onlyTask shows what one task prints and nothing else.
func onlyTask(display *term.Progress, id build.ID, t *build.Task) func(api.Update) error {
	return func(u api.Update) error {
		if u.Log != nil && u.Log.Task == t.Key {
			display.Log(term.Source{Build: id, Key: t.Key, Name: t.Name, Attempt: u.Log.Attempt}, u.Log.Data)
		}
		return nil
	}
}

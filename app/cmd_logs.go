package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/builder/spool"
	"github.com/velocity-ci/velocity/storage"
)

func (c *cli) logsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "logs BUILD [TASK]",
		Short: "Print the log of a task, or of all tasks that have one",
		Long: `Print the log of a task, or of all tasks that have one.

BUILD is as for velocity show, TASK a name or a key (s0t0). With --follow the
log of a build that is under way is shown as it is written.`,
		Args: arguments(1, 2),
	}
	from := placeFlags(cmd)
	times := cmd.Flags().Bool("times", false, "print before each line when it came, in seconds from the beginning")
	follow := cmd.Flags().BoolP("follow", "f", false, "go on until the build is over")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *follow {
			return c.followLogs(cmd.Context(), from, args)
		}
		return c.logs(cmd.Context(), from, args, *times)
	}
	return cmd
}

func (c *cli) logs(ctx context.Context, from place, args []string, times bool) error {
	r, err := c.books(ctx, from)
	if err != nil {
		return err
	}
	b, err := r.build(ctx, args[0])
	if err != nil {
		return err
	}
	if len(args) == 1 {
		return c.allLogs(ctx, r, b, times)
	}
	t, err := findTask(b, args[1])
	if err != nil {
		return err
	}
	log, err := r.log(ctx, b, t, times)
	if errors.Is(err, storage.ErrNoLog) {
		return noLog(b, t)
	}
	if err != nil {
		return err
	}
	return c.printLog(log)
}

// noLog says why there is nothing to print.
func noLog(b *build.Build, t *build.Task) error {
	said := string(t.State)
	if reason := b.TaskReason(t); reason != "" {
		said += ", " + reason
	}
	f := &failure{status: statusProblem, err: fmt.Errorf("task %s of build %s has no log here (%s)", t.Name, b.ID, said)}
	if t.Reason == build.ReasonReused {
		return f.hint("it was built by %s: velocity logs %s %s", t.Reused.Build, t.Reused.Build, t.Reused.Task)
	}
	return f
}

// allLogs prints the logs of all tasks, each under its task's name if the build
// has several tasks.
func (c *cli) allLogs(ctx context.Context, r books, b *build.Build, times bool) error {
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			t := &b.Stages[i].Tasks[j]
			log, err := r.log(ctx, b, t, times)
			if errors.Is(err, storage.ErrNoLog) {
				continue
			}
			if err != nil {
				return err
			}
			if b.Counts().Tasks > 1 {
				if _, err := fmt.Fprintf(c.Out, "== %s (%s): %s\n", term.Clean(t.Name), t.Key, t.State); err != nil {
					return err
				}
			}
			if err := c.printLog(log); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *cli) printLog(log term.Log) error { return c.page().Log(log, term.IsTerminal(c.Out)) }

// log reads the log of a task's current attempt.
func (r *record) log(ctx context.Context, b *build.Build, t *build.Task, withTimes bool) (term.Log, error) {
	text, times, err := r.store.Log(ctx, b.ID, t.Key, t.Attempt)
	log := term.Log{Text: text}
	if err != nil || !withTimes {
		return log, err
	}
	if times == nil {
		return log, fmt.Errorf("the log of task %s was stored without times", t.Name)
	}
	marks, err := spool.ParseTimes(times)
	if err != nil {
		return log, err
	}
	log.Since = since(marks)
	return log, nil
}

// since finds times for offsets that only grow.
func since(marks []spool.Mark) func(offset int64) time.Duration {
	var at time.Duration
	return func(offset int64) time.Duration {
		for len(marks) > 0 && marks[0].Offset <= offset {
			at = time.Duration(marks[0].Millis) * time.Millisecond
			marks = marks[1:]
		}
		return at
	}
}

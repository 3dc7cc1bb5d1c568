package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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
log of a build that is under way is shown as it is written. A task that was tried
again has a log of each attempt: velocity show lists them, --attempt prints an
earlier one. What was lost with its builder left none.`,
		Args: arguments(1, 2),
	}
	from := placeFlags(cmd)
	times := cmd.Flags().Bool("times", false, "print before each line when it came, in seconds from the beginning")
	attempt := cmd.Flags().Int("attempt", 0, "print the log of this attempt of TASK, from 1 (default: the newest)")
	follow := cmd.Flags().BoolP("follow", "f", false, "go on until the build is over")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		earlier := cmd.Flags().Changed("attempt")
		switch {
		case *follow && (*times || earlier):
			return usage("--follow shows what is written now: --times and --attempt are for what was written")
		case *follow:
			return c.followLogs(cmd.Context(), from, args)
		case earlier && len(args) < 2:
			return usage("--attempt is for one task").hint("velocity logs %s TASK --attempt %d", args[0], *attempt)
		case earlier && *attempt < 1:
			return usage("--attempt %d: attempts are counted from 1", *attempt)
		}
		return c.logs(cmd.Context(), from, args, *attempt, *times)
	}
	return cmd
}

// logs prints the log of an attempt, 0 for the newest, or those of all tasks.
func (c *cli) logs(ctx context.Context, from place, args []string, attempt int, times bool) error {
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
	if attempt > t.Attempt {
		return usage("task %s of build %s has no attempt %d", t.Name, b.ID, attempt).hint("%s", attemptsOf(t))
	}
	log, err := r.log(ctx, b, t, cmp.Or(attempt, t.Attempt), times)
	if errors.Is(err, storage.ErrNoLog) {
		return noLog(b, t, attempt)
	}
	if err != nil {
		return err
	}
	return c.printLog(log)
}

// attemptsOf says which there are.
func attemptsOf(t *build.Task) string {
	switch t.Attempt {
	case 0:
		return "no attempt was made"
	case 1:
		return "there was one attempt"
	}
	return fmt.Sprintf("there were attempts 1 to %d", t.Attempt)
}

// loggedOf are the attempts that left a log: those that failed and were followed by
// another, and the newest once it is over.
func loggedOf(t *build.Task) []int {
	var all []int
	for _, past := range t.Retried {
		if past.Log.Bytes > 0 {
			all = append(all, past.Attempt)
		}
	}
	if t.Log.Bytes > 0 {
		all = append(all, t.Attempt)
	}
	return all
}

// noEarlierLog says why there is nothing to print of an attempt before the newest.
func noEarlierLog(b *build.Build, t *build.Task, attempt int) error {
	f := &failure{status: statusProblem, err: fmt.Errorf("attempt %d of task %s of build %s has no log here", attempt, t.Name, b.ID)}
	logged := loggedOf(t)
	switch {
	case len(logged) == 0:
		return f.hint("none of its attempts has left one yet")
	case slices.Contains(logged, attempt):
		return f.hint("it left one, which is kept no more")
	}
	return f.hint("of its attempts %s left one", strings.Trim(fmt.Sprint(logged), "[]"))
}

// noLog says why there is nothing to print of an attempt, 0 for the newest.
func noLog(b *build.Build, t *build.Task, attempt int) error {
	if attempt > 0 && attempt < t.Attempt {
		return noEarlierLog(b, t, attempt)
	}
	said := string(t.State)
	if reason := b.TaskReason(t); reason != "" {
		said += ", " + reason
	}
	f := &failure{status: statusProblem, err: fmt.Errorf("task %s of build %s has no log here (%s)", t.Name, b.ID, said)}
	if t.State == build.Building {
		return f.hint("velocity logs %s %s --follow shows it as it is written", b.ID, t.Key)
	}
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
			log, err := r.log(ctx, b, t, t.Attempt, times)
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

// log implements books.
func (r *record) log(ctx context.Context, b *build.Build, t *build.Task, attempt int, withTimes bool) (term.Log, error) {
	text, times, err := r.store.Log(ctx, b.ID, t.Key, attempt)
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

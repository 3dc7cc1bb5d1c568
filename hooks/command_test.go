package hooks

import (
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

func TestCommand(t *testing.T) {
	for _, test := range []struct {
		comment string
		ask     string
		commit  plan.Commit
	}{
		{"/velocity rerun", AskRerun, ""},
		{"/velocity rerun --failed", AskFailed, ""},
		{"/velocity cancel", AskCancel, ""},
		{"/velocity approve", AskApprove, ""},
		{"/velocity approve " + two, AskApprove, two},
		{"/velocity approve " + strings.Repeat("a", 64), AskApprove, plan.Commit(strings.Repeat("a", 64))},
		{"/velocity rerun \t\r\n\nIt was the network.", AskRerun, ""},
	} {
		ask, c, ours, err := command(test.comment)
		if ask != test.ask || c != test.commit || !ours || err != nil {
			t.Errorf("command(%q) = %q, %q, %v, %v; want %q, %q", test.comment, ask, c, ours, err, test.ask, test.commit)
		}
	}
}

func TestNoCommand(t *testing.T) {
	for _, comment := range []string{
		"", "velocity rerun", "/velocityrerun", "/velocity\u00a0rerun", "/velocity\trerun", "/Velocity rerun",
		"> /velocity rerun", " /velocity rerun", "    /velocity rerun", "\t/velocity rerun", "`/velocity rerun`",
		"```\n/velocity rerun\n```", "please /velocity rerun", "\n/velocity rerun", "hello\n/velocity approve", "\ufeff/velocity rerun",
		"<!-- \n/velocity rerun -->", "\r/velocity rerun",
	} {
		if ask, _, ours, err := command(comment); ours {
			t.Errorf("command(%q) = %q, %v; want it to be none of ours", comment, ask, err)
		}
	}
}

func TestOddCommand(t *testing.T) {
	for _, comment := range []string{
		"/velocity", "/velocity ", "/velocity retest", "/velocity rerun all", "/velocity  rerun", "/velocity rerun --failed --failed",
		"/velocity rerun; /velocity approve", "/velocity approve 2222222", "/velocity approve " + strings.Repeat("A", 40),
		"/velocity approve " + two + " please", "/velocity approve  " + two, "/velocity approve HEAD", "/velocity rerun\rapprove",
	} {
		ask, c, ours, err := command(comment)
		if !ours || err == nil || ask != "" || c != "" {
			t.Errorf("command(%q) = %q, %q, %v, %v; want an error that tells what there is", comment, ask, c, ours, err)
		}
	}
}

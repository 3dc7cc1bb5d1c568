package hooks

import (
	"fmt"
	"strings"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// What a command asks for, in the words of the buttons.
const (
	AskRerun   = "rerun"
	AskFailed  = "rerun-failed"
	AskCancel  = "cancel"
	AskApprove = "approve"
)

// call is how a line that is meant for us begins.
const call = "/velocity"

// command reads a comment. Only its first line counts, and all of it: what is quoted,
// in code or in the middle of a sentence begins otherwise. ok tells whether the line
// is for us at all; if it is and says nothing we know, err tells what there is.
func command(comment string) (ask string, c plan.Commit, ok bool, err error) {
	line, _, _ := strings.Cut(comment, "\n")
	line = strings.TrimRight(line, " \t\r")
	rest, ok := strings.CutPrefix(line, call)
	if !ok || rest != "" && rest[0] != ' ' {
		return "", "", false, nil
	}
	switch rest {
	case " rerun":
		return AskRerun, "", true, nil
	case " rerun --failed":
		return AskFailed, "", true, nil
	case " cancel":
		return AskCancel, "", true, nil
	case " approve":
		return AskApprove, "", true, nil
	}
	if name, named := strings.CutPrefix(rest, " approve "); named {
		if c, err = plan.ParseCommit(name); err != nil {
			return "", "", true, fmt.Errorf("%s approve: %w", call, err)
		}
		return AskApprove, c, true, nil
	}
	return "", "", true, fmt.Errorf("%q is no command; there are %s rerun, rerun --failed, cancel, approve and approve COMMIT", word(line), call)
}

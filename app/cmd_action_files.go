package app

import (
	"errors"
	"fmt"
	"os"

	"github.com/velocity-ci/velocity/app/workflow"
)

// The outputs of action.yml.
const (
	outputOutcome = "outcome"
	outputBuild   = "build"
)

// actionFiles are those that a runner reads when the step is over. They are open
// from the beginning: later this process may be another user's.
type actionFiles struct{ outputs, summary *os.File } // nil if the runner has none

func openActionFiles(env map[string]string) (f actionFiles, err error) {
	if f.outputs, err = openActionFile(env, "GITHUB_OUTPUT"); err != nil {
		return f, err
	}
	f.summary, err = openActionFile(env, "GITHUB_STEP_SUMMARY")
	return f, err
}

func openActionFile(env map[string]string, variable string) (*os.File, error) {
	if env[variable] == "" {
		return nil, nil
	}
	file, err := os.OpenFile(env[variable], os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the file of %s: %w", variable, err)
	}
	return file, nil
}

// leave writes the outputs and the summary of the step. id is "" if nothing was
// recorded.
func (f actionFiles) leave(outcome, id, summary string) error {
	var outputs, page error
	if f.outputs != nil {
		_, outputs = f.outputs.WriteString(workflow.Output(outputOutcome, outcome) + workflow.Output(outputBuild, id))
	}
	if f.summary != nil {
		_, page = f.summary.WriteString(summary)
	}
	if err := errors.Join(outputs, page); err != nil {
		return fmt.Errorf("tell the runner how it went: %w", err)
	}
	return nil
}

// close closes the files, whose writes have been checked.
func (f actionFiles) close() {
	for _, file := range []*os.File{f.outputs, f.summary} {
		if file != nil {
			_ = file.Close()
		}
	}
}

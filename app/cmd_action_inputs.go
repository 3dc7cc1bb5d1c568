package app

import (
	"slices"
	"strings"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// The inputs of action.yml.
const (
	inputName       = "name"
	inputParameters = "parameters"
	inputExecutor   = "executor"
	inputRecord     = "record"
	inputPublish    = "publish"
)

// What is sent to the remote of a build that is recorded.
const (
	publishNone   = "none"
	publishNotes  = "notes"
	publishBuilds = "builds"
)

// actionInputs are what the step was asked for.
type actionInputs struct {
	name       string
	parameters []string // NAME=VALUE; a value may be secret
	executors  executors
	record     bool
	publish    string
}

// input is an input's value as a runner hands it over: its name is in upper case
// with underscores for spaces. One that is absent is empty.
func input(env map[string]string, name string) string {
	return env["INPUT_"+strings.ToUpper(strings.ReplaceAll(name, " ", "_"))]
}

// readActionInputs reads the inputs. Errors name the input and what it can be, and
// never quote a parameter.
func readActionInputs(env map[string]string) (in actionInputs, err error) {
	in.name = strings.TrimSpace(input(env, inputName))
	if in.name == "" {
		in.name = defaultName
	}
	if in.parameters, err = parameterLines(input(env, inputParameters)); err != nil {
		return in, err
	}
	executor, err := oneOf(env, inputExecutor, "", "host", "docker")
	if err != nil {
		return in, err
	}
	if in.executors, err = executorsFor(executor, true); err != nil {
		return in, err
	}
	record, err := oneOf(env, inputRecord, "false", "true")
	in.record = record == "true"
	if err != nil {
		return in, err
	}
	in.publish, err = oneOf(env, inputPublish, publishNotes, publishBuilds, publishNone)
	return in, err
}

// oneOf is an input with few values, the first of which is meant without any.
// Truths are spelled as YAML does.
func oneOf(env map[string]string, name string, values ...string) (string, error) {
	text := strings.TrimSpace(input(env, name))
	value := text
	if slices.Contains([]string{"True", "TRUE", "False", "FALSE"}, text) {
		value = strings.ToLower(text)
	}
	switch {
	case text == "":
		return values[0], nil
	case slices.Contains(values, value):
		return value, nil
	}
	return "", usage("input %s: %q is none of its values", name, text).hint("it can be %s", strings.Join(slices.DeleteFunc(values, func(v string) bool { return v == "" }), ", "))
}

// parameterLines reads lines NAME=VALUE, and values of several lines between
// NAME<<END and a line END.
func parameterLines(text string) (all []string, err error) {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	seen := map[string]bool{}
	for i := 0; i < len(lines); i++ {
		line, number := strings.TrimLeft(lines[i], " \t"), i+1
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if before, end, several := strings.Cut(line, "<<"); several && len(before) < len(name) {
			rest := lines[i+1:]
			last := slices.Index(rest, end)
			if end == "" || last < 0 {
				return nil, usage("input %s: the value that begins in line %d has no end", inputParameters, number).
					hint("a line that is what stands behind << there, and nothing else, ends it")
			}
			name, value, ok = before, strings.Join(rest[:last], "\n"), true
			i += last + 1
		}
		switch {
		case !ok || !plan.ValidParameterName(name):
			return nil, usage("input %s: line %d does not begin with the name of a parameter and =", inputParameters, number).
				hint("each line is NAME=VALUE; a value of several lines stands between NAME<<END and END")
		case seen[name]:
			return nil, usage("input %s: line %d gives %s a second time", inputParameters, number, name)
		}
		seen[name] = true
		all = append(all, name+"="+value)
	}
	return all, nil
}

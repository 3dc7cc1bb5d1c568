package builder

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// maxExpanded bounds a text after expansion, in bytes. Linux takes no longer
// argument than twice that.
const maxExpanded = 64 << 10

// values are what a task's texts and scripts can refer to, by parameter name.
type values map[string]value

type value struct {
	text   string
	secret bool
}

// set adds a value, or replaces an earlier one. What was secret once stays so.
func (v values) set(name, text string, secret bool) error {
	if !plan.BuiltIn(name) {
		if err := checkName(name); err != nil {
			return err
		}
	}
	if strings.ContainsRune(text, 0) {
		return failed("parameter %s has a zero byte in its value", name)
	}
	v[name] = value{text: text, secret: secret || v[name].secret}
	return nil
}

// visible reports whether a step that lists secrets may see the parameter.
func (v values) visible(name string, secrets []string) bool {
	x, ok := v[name]
	return ok && (!x.secret || slices.Contains(secrets, name))
}

// env lists the values that a step may see as NAME=value, sorted by parameter.
func (v values) env(secrets []string) []string {
	var env []string
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if v.visible(name, secrets) {
			env = append(env, plan.EnvName(name)+"="+v[name].text)
		}
	}
	return env
}

// expand replaces the references in t by values that a step may see.
func (v values) expand(t plan.Text, secrets []string) (string, error) {
	withheld := ""
	s, err := t.Expand(func(name string) (string, bool) {
		if !v.visible(name, secrets) {
			if v[name].secret {
				withheld = name
			}
			return "", false
		}
		return v[name].text, true
	})
	var ref *plan.RefError
	switch {
	case withheld != "":
		return "", fmt.Errorf("${%s} is a secret that the step does not list in its secrets", withheld)
	case errors.As(err, &ref):
		return "", err
	case len(s) > maxExpanded:
		return "", fmt.Errorf("a text of %d bytes after expansion; at most %d are allowed", len(s), maxExpanded)
	case strings.ContainsRune(s, 0):
		return "", errors.New("a text with a zero byte, which no process can be given")
	}
	return s, err
}

// withholds reports whether t mentions a secret that the step does not list.
func (v values) withholds(t plan.Text, secrets []string) bool {
	mentioned, _ := t.Names() // expand reports the error
	return slices.ContainsFunc(mentioned, func(name string) bool { return v[name].secret && !v.visible(name, secrets) })
}

// Variables that steer what processes run, rather than inform them. Whoever
// chooses a parameter's value must not choose the program.
var (
	steeringNames = []string{
		"PATH", "ENV", "IFS", "HOME", "SHELL", "SHELLOPTS", "BASHOPTS", "PS4", "CDPATH", "GCONV_PATH",
		"NODE_OPTIONS", "NODE_PATH", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS",
		"CLASSPATH", "GOFLAGS", "RUSTC_WRAPPER", "MAKEFLAGS",
	}
	steeringPrefixes = []string{"LD_", "DYLD_", "GIT_", "BASH_", "PYTHON", "PERL5", "RUBY"}
	ownNames         = []string{"CI", "VELOCITY"}
)

// checkName refuses names whose variable means something to the programs that
// find it, or belongs to Velocity.
func checkName(name string) error {
	if !plan.ValidParameterName(name) {
		return failed("parameter %q: not a name: letters, digits, dots, dashes and underscores, a letter first", name)
	}
	env := plan.EnvName(name)
	if slices.Contains(ownNames, env) || strings.HasPrefix(env, "VELOCITY_") {
		return failed("parameter %s: the variable %s belongs to Velocity: choose another name", name, env)
	}
	steers := slices.Contains(steeringNames, env) ||
		slices.ContainsFunc(steeringPrefixes, func(p string) bool { return strings.HasPrefix(env, p) })
	if steers {
		return failed("parameter %s: the variable %s steers how programs run: choose another name", name, env)
	}
	return nil
}

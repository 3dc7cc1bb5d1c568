package plan

import (
	"fmt"
	"strings"
	"time"
)

// A Parameter is a value that a task's steps can use by its name. It is one of:
// known when the plan was drawn (Value), derived by an executable (Derived), or
// given with the assignment (neither: secrets, and what is new in every build).
type Parameter struct {
	Name    string   `json:"name,omitempty"` // "" for a derived one, whose exports have names
	Secret  bool     `json:"secret,omitempty"`
	Value   *string  `json:"value,omitempty"`
	Derived *Derived `json:"derived,omitempty"`
}

// A Derived parameter is the output of an executable in the repository.
type Derived struct {
	Use       string            `json:"use"`              // path in the repository, slash separated, or an https address
	SHA256    string            `json:"sha256,omitempty"` // of what is at the address, lower-case hex
	Arguments []Variable        `json:"arguments,omitempty"`
	Exports   map[string]string `json:"exports,omitempty"` // name it prints → name it gets here
	Timeout   Duration          `json:"timeout,omitempty"`
	At        string            `json:"at"`
}

// EnvName is the environment variable under which scripts find the parameter
// name: built-in ones become VELOCITY_GIT_BRANCH, others keep their spelling as
// far as a variable can.
func EnvName(name string) string {
	v := strings.Map(func(c rune) rune {
		if c == '.' || c == '-' {
			return '_'
		}
		return c
	}, name)
	if BuiltIn(name) {
		return "VELOCITY_" + strings.ToUpper(v)
	}
	return v
}

// BuiltIn reports whether the name belongs to Velocity: `git.…` or `build.…`.
func BuiltIn(name string) bool {
	return strings.HasPrefix(name, "git.") || strings.HasPrefix(name, "build.")
}

// A Duration is a time.Duration that is written as `1m30s` in JSON.
type Duration time.Duration

func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText writes the duration as Go does: 1h0m0s.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a Go duration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("parse duration: %w", err)
	}
	*d = Duration(v)
	return nil
}

// Clean is the `.clean` form of a built-in value, which is safe wherever it is
// put: lower case, every byte but a-z, 0-9, dot, dash and underscore made a
// dash, with no dash or dot at either end.
func Clean(value string) string {
	safe := []byte(strings.ToLower(value))
	for i, c := range safe {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' {
			safe[i] = '-'
		}
	}
	return strings.Trim(string(safe), "-.")
}

// Package hooks receives: it limits, proves and decodes what says that a repository
// has changed, and tells what is done about it. That is git's own post-receive hook,
// and webhooks of GitHub and GitLab. Whatever it decodes is a hint, to be compared
// with the repository and the forge. It holds no credential but the secrets that
// webhooks are signed with.
package hooks

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// Limits on what one push may say.
const (
	maxLine    = 4 << 10 // bytes: two commits and a ref
	maxUpdates = 5000
	maxOptions = 64
	maxOption  = 256 // bytes
)

// An Update is a branch or tag with a new tip.
type Update struct {
	Ref      string
	Old, New plan.Commit // Old is zeros for a new ref; New may be a tag object
}

// A Push is what one post-receive hook is told.
type Push struct {
	Updates []Update // of branches and tags; deleted refs and others are left out
	Skip    bool     // -o velocity.skip: build nothing
	Detach  bool     // -o velocity.detach: build, but do not wait
	Notes   []string // what was odd, for who pushed
}

// Options finds the push options in a hook's environment. A git that knows none
// sets nothing.
func Options(env map[string]string) []string {
	n, err := strconv.Atoi(env["GIT_PUSH_OPTION_COUNT"])
	if err != nil || n < 0 {
		return nil
	}
	var options []string
	for i := range min(n, maxOptions) {
		option := env["GIT_PUSH_OPTION_"+strconv.Itoa(i)]
		if len(option) <= maxOption {
			options = append(options, option)
		}
	}
	return options
}

// ReadPush reads the lines that git writes to a post-receive hook, "<old> <new>
// <ref>", and the push options beside them. Options that are not for us are left
// alone. Source: githooks(5).
func ReadPush(r io.Reader, options []string) (*Push, error) {
	p := &Push{}
	for _, option := range options {
		p.option(option)
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, maxLine), maxLine)
	for n := 1; lines.Scan(); n++ {
		if n > maxUpdates {
			return nil, fmt.Errorf("read push: more than %d refs", maxUpdates)
		}
		if err := p.line(lines.Text()); err != nil {
			return nil, fmt.Errorf("read push: line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read push: %w", err)
	}
	return p, nil
}

func (p *Push) option(option string) {
	switch name, ours := strings.CutPrefix(option, "velocity."); {
	case !ours:
	case name == "skip":
		p.Skip = true
	case name == "detach":
		p.Detach = true
	default:
		p.Notes = append(p.Notes, fmt.Sprintf("push option %q is not known; there are velocity.skip and velocity.detach", option))
	}
}

func (p *Push) line(line string) error {
	words := strings.SplitN(line, " ", 3)
	if len(words) != 3 {
		return errors.New(`not of the form "<old> <new> <ref>"`)
	}
	from, err := plan.ParseCommit(words[0])
	if err != nil {
		return err
	}
	to, err := plan.ParseCommit(words[1])
	if err != nil {
		return err
	}
	ref := words[2]
	if to.Zero() || plan.Branch(ref) == "" && plan.Tag(ref) == "" {
		return nil
	}
	p.Updates = append(p.Updates, Update{Ref: ref, Old: from, New: to})
	return nil
}

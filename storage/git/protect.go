package git

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// Protect makes a repository that people push to refuse forged results: nobody
// can push to refs/velocity or refs/notes/velocity, nor see them while pushing.
// It also lets a push carry options to our hook. Everything else in the
// configuration stays as it is, and doing it again changes nothing.
func (r *Repository) Protect(ctx context.Context) error {
	hidden, err := r.setting(ctx, "receive.hideRefs")
	if err != nil {
		return fmt.Errorf("protect refs: %w", err)
	}
	for _, prefix := range hiddenRefs {
		if slices.Contains(hidden, prefix) {
			continue
		}
		if err := r.set(ctx, "--add", "receive.hideRefs", prefix); err != nil {
			return fmt.Errorf("protect refs: %w", err)
		}
	}
	options, err := r.setting(ctx, "receive.advertisePushOptions")
	if err == nil && !slices.Equal(options, []string{"true"}) {
		err = r.set(ctx, "--replace-all", "receive.advertisePushOptions", "true")
	}
	if err != nil {
		return fmt.Errorf("allow push options: %w", err)
	}
	return nil
}

// hiddenRefs are those that nobody may push to.
var hiddenRefs = []string{"refs/velocity", "refs/notes/velocity"}

// Unprotected lists what Protect would hide and the configuration does not.
func (r *Repository) Unprotected(ctx context.Context) ([]string, error) {
	hidden, err := r.setting(ctx, "receive.hideRefs")
	if err != nil {
		return nil, fmt.Errorf("read what is protected: %w", err)
	}
	return slices.DeleteFunc(slices.Clone(hiddenRefs), func(prefix string) bool { return slices.Contains(hidden, prefix) }), nil
}

// setting returns all values of a key in the repository's own configuration.
func (r *Repository) setting(ctx context.Context, key string) ([]string, error) {
	out, err := r.git(ctx, "config", "--local", "--null", "--get-all", key)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil, nil // not set
	}
	text, _ := strings.CutSuffix(string(out), "\x00")
	return strings.Split(text, "\x00"), err
}

func (r *Repository) set(ctx context.Context, how, key, value string) error {
	_, err := r.git(ctx, "config", "--local", how, key, value)
	return err
}

package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// condemn adds to erasureFile all that the old values reach, and what Also picks.
func (r *Repository) condemn(ctx context.Context, e Erasure) error {
	condemned, err := r.condemned()
	if err != nil {
		return err
	}
	if err := r.reachedFrom(ctx, e.Updates, condemned); err != nil {
		return err
	}
	if e.Also != nil {
		if err := r.strays(ctx, e.Also, condemned); err != nil {
			return err
		}
	}
	if len(condemned) == 0 {
		return nil
	}
	var list bytes.Buffer
	for h := range condemned {
		fmt.Fprintf(&list, "%s\n", h)
	}
	return r.disk.replace(r.erasurePath(), list.Bytes())
}

// reachedFrom adds what the values reach that updates replace.
func (r *Repository) reachedFrom(ctx context.Context, updates []RefUpdate, to map[Hash]bool) error {
	var tips bytes.Buffer
	for _, update := range updates {
		if !update.Old.IsZero() && update.Old != update.New {
			fmt.Fprintf(&tips, "%s\n", update.Old)
		}
	}
	if tips.Len() == 0 {
		return nil
	}
	_, err := r.run(ctx, command{
		options: []string{plainHistory},
		args:    []string{"rev-list", "--objects", "--no-object-names", "--stdin"},
		stdin:   &tips,
		stdout:  &lineFeed{line: func(line []byte) { addHash(to, line) }},
	})
	return err
}

// condemned reads what an unfinished erasure left to do.
func (r *Repository) condemned() (map[Hash]bool, error) {
	condemned := make(map[Hash]bool)
	data, err := os.ReadFile(r.erasurePath())
	if errors.Is(err, fs.ErrNotExist) {
		return condemned, nil
	}
	for line := range bytes.Lines(data) {
		addHash(condemned, bytes.TrimSuffix(line, []byte("\n")))
	}
	return condemned, err
}

func addHash(set map[Hash]bool, line []byte) {
	if h, err := ParseHash(string(line)); err == nil {
		set[h] = true
	}
}

// strays adds the commits that nothing reaches and that pick chooses, with their
// files. Their parents are strays themselves.
func (r *Repository) strays(ctx context.Context, pick func(Commit) bool, to map[Hash]bool) error {
	commits := make(map[Hash]bool)
	_, err := r.run(ctx, command{
		args: []string{"cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objectname) %(objecttype)"},
		stdout: &lineFeed{line: func(line []byte) {
			if id, ok := bytes.CutSuffix(line, []byte(" commit")); ok {
				addHash(commits, id)
			}
		}},
	})
	if err != nil {
		return err
	}
	reached, _, err := r.reachable(ctx, commits, nil, nil)
	if err != nil {
		return err
	}
	for h := range commits {
		if reached[h] {
			continue
		}
		if c, err := r.Commit(h); err == nil && pick(c) {
			to[h] = true
			r.addTree(c.Tree, to)
		}
	}
	return nil
}

// addTree adds a tree and what is in it. Of what nothing reaches, parts may be
// gone already: they are passed over.
func (r *Repository) addTree(tree Hash, to map[Hash]bool) {
	entries, err := r.tree(tree)
	if err != nil || to[tree] {
		return
	}
	to[tree] = true
	for _, entry := range entries {
		if entry.Mode == ModeTree {
			r.addTree(entry.Hash, to)
		} else {
			to[entry.Hash] = true
		}
	}
}

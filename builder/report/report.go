// Package report reads what tools say about the code they were run on: JUnit and
// SARIF files that they leave in the workspace, and the lines in which compilers
// name a place.
//
// All of it is written by whatever the steps ran. Files are opened without leaving
// the workspace, read up to a limit and one element at a time, and what is broken
// is told and passed over: a report never decides how a task ended.
package report

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// Limits on what is read of one task.
const (
	maxFiles    = 200
	maxFile     = 64 << 20 // bytes
	maxFindings = 5000     // kept until the best are chosen
	maxText     = 8 << 10  // bytes of one text, before it is masked and cut
)

// A Summary is what the reports of a task add up to.
type Summary struct {
	Tests    build.Tests
	Findings []build.Finding
	Problems []string // what could not be read, one line each, for the log
}

// A reader adds reports up.
type reader struct {
	Summary
	places *Places
	mask   func(string) string
}

// Read reads the files that the patterns pick in a workspace. All texts go through
// mask before they are cut: half a secret could not be recognised any more.
func Read(workspace *os.Root, want plan.Reports, places *Places, mask func(string) string) Summary {
	r := reader{places: places, mask: mask}
	tests := newTally(mask)
	for _, kind := range []struct {
		patterns []string
		read     func(io.Reader) error
	}{{want.JUnit, tests.junit}, {want.SARIF, r.sarif}} {
		for _, path := range r.files(workspace, kind.patterns) {
			if err := open(workspace, path, kind.read); err != nil {
				r.problem("report %s: %v", path, err)
			}
		}
	}
	tests.into(&r)
	return r.Summary
}

// files lists what the patterns pick, in the order of their names.
func (s *Summary) files(workspace *os.Root, patterns []string) []string {
	var all []string
	for _, pattern := range patterns {
		found, err := doublestar.Glob(workspace.FS(), pattern, doublestar.WithFilesOnly(), doublestar.WithNoFollow())
		if err != nil {
			s.problem("reports %s: %v", pattern, err)
		}
		if len(found) == 0 && err == nil {
			s.problem("reports %s: there is no such file", pattern)
		}
		all = append(all, found...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if len(all) > maxFiles {
		s.problem("%d report files: only the first %d are read", len(all), maxFiles)
		all = all[:maxFiles]
	}
	return all
}

func (s *Summary) problem(format string, args ...any) {
	s.Problems = append(s.Problems, fmt.Sprintf(format, args...))
}

// add keeps a finding as far as there is room.
func (s *Summary) add(f build.Finding) {
	if len(s.Findings) < maxFindings {
		s.Findings = append(s.Findings, f)
	}
}

// open reads a regular file. Opening a named pipe would wait for its writer
// without O_NONBLOCK.
func open(workspace *os.Root, path string, read func(io.Reader) error) error {
	f, err := workspace.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return plain(err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return plain(err)
	case !info.Mode().IsRegular():
		return errors.New("not a regular file")
	case info.Size() > maxFile:
		return fmt.Errorf("larger than %d MiB", maxFile>>20)
	}
	return read(io.LimitReader(f, maxFile)) // it may grow meanwhile
}

// plain is err without the path, which the caller names.
func plain(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// clip bounds a masked text.
func clip(s string) string { return build.Clip(s, maxText) }

package builder

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/executor"
)

// fileSuffix ends the variables that tell where a secret's file is.
const fileSuffix = "_FILE"

// secretFiles puts secrets into files in memory, whose paths the step finds in
// variables. Each step has a folder of its own, which its container sees read-only
// at the same path. Nobody else comes to it through the one around it.
func (t *attempt) secretFiles(names []string, cmd *executor.Command) error {
	if len(names) == 0 {
		return nil
	}
	if t.builder.Memory == "" {
		return errors.New("secretFiles: this builder has no folder in memory to put them in: use secrets instead")
	}
	// The folder in memory is everybody's: only a name that nobody can know
	// beforehand is surely a new folder, and our own.
	outer, err := os.MkdirTemp(t.builder.Memory, t.builder.secretPrefix()+fileName(t.given.Attempt)+secretMark)
	if err != nil {
		return fmt.Errorf("secretFiles: %w", err)
	}
	folder := filepath.Join(outer, "step")
	err = os.Mkdir(folder, 0o700)
	if err == nil {
		err = os.Chmod(folder, 0o755) // a container's user may be any
	}
	if err != nil {
		return fmt.Errorf("secretFiles: %w", err)
	}
	for _, name := range names {
		v, ok := t.values[name]
		if !ok || !plan.ValidParameterName(name) {
			return fmt.Errorf("secretFiles: there is no parameter %q", name)
		}
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(v.text), 0o444); err != nil {
			return fmt.Errorf("secretFiles: %w", err)
		}
		cmd.Env = append(cmd.Env, plan.EnvName(name)+fileSuffix+"="+path)
	}
	cmd.ReadOnly = append(slices.Clip(cmd.ReadOnly), folder)
	return nil
}

// secretMark ends an attempt's name in that of its folder.
const secretMark = "~"

// secretPrefix begins the names of all folders with this builder's secrets.
// Builders with the same folder in memory do not meet: they differ in their spools.
func (b *Builder) secretPrefix() string {
	sum := sha256.Sum256([]byte(b.SpoolDir))
	return "velocity-" + hex.EncodeToString(sum[:8]) + "-"
}

// removeSecretFiles removes those of the step that has ended.
func (t *attempt) removeSecretFiles() {
	mine := fileName(t.given.Attempt)
	if err := t.builder.dropSecretFiles(func(attempt string) bool { return attempt == mine }); err != nil {
		t.log.Warn("files of secrets stay in memory", slog.Any("error", err))
	}
}

// reapSecretFiles removes those of attempts that are not under way here.
func (b *Builder) reapSecretFiles() error {
	return b.dropSecretFiles(func(attempt string) bool { return !b.has(attempt) })
}

// dropSecretFiles removes the folders of the attempts that are meant. One that
// somebody else put there under such a name is not ours to remove.
func (b *Builder) dropSecretFiles(meant func(attempt string) bool) error {
	if b.Memory == "" {
		return nil // nothing was written
	}
	all, err := os.ReadDir(b.Memory)
	for _, folder := range all {
		rest, ours := strings.CutPrefix(folder.Name(), b.secretPrefix())
		attempt, _, marked := strings.Cut(rest, secretMark)
		if !ours || !marked || !meant(attempt) {
			continue
		}
		if gone := os.RemoveAll(filepath.Join(b.Memory, folder.Name())); !errors.Is(gone, fs.ErrPermission) {
			err = errors.Join(err, gone)
		}
	}
	return err
}

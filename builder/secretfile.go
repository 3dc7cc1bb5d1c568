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
	outer := t.builder.secretFolder(fileName(t.given.Attempt))
	if err := os.MkdirAll(outer, 0o700); err != nil {
		return fmt.Errorf("secretFiles: %w", err)
	}
	folder, err := os.MkdirTemp(outer, "step-")
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

// secretFolder is where the files of an attempt's secrets are. Builders with the
// same folder in memory do not meet: they differ in their spools.
func (b *Builder) secretFolder(attempt string) string {
	sum := sha256.Sum256([]byte(b.SpoolDir))
	return filepath.Join(b.Memory, "velocity-"+hex.EncodeToString(sum[:8]), attempt)
}

// removeSecretFiles removes those of the step that has ended.
func (t *attempt) removeSecretFiles() {
	if t.builder.Memory == "" {
		return // nothing was written
	}
	if err := os.RemoveAll(t.builder.secretFolder(fileName(t.given.Attempt))); err != nil {
		t.log.Warn("files of secrets stay in memory", slog.Any("error", err))
	}
}

// reapSecretFiles removes those of attempts that are not under way here.
func (b *Builder) reapSecretFiles() error {
	if b.Memory == "" {
		return nil
	}
	all := b.secretFolder("")
	attempts, err := os.ReadDir(all)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, a := range attempts {
		if !b.has(a.Name()) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(all, a.Name())))
		}
	}
	return err
}

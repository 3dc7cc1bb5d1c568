package builder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
)

// resumptionFile is the resumption's name in an attempt's folder.
const resumptionFile = "resume.sealed"

// resumptionVersion stands in every resumption; others are not taken up.
const resumptionVersion = 1

// maxResumption bounds a sealed resumption, in bytes: an assignment is at most a
// message of the wire, and its values come once more.
const maxResumption = 16 << 20

// A resumption is the form in which an attempt in the middle of a step waits for
// the builder's next process. It holds secrets and never lies on the disk unsealed.
type resumption struct {
	Version   int                    `json:"version"`
	Given     dispatch.Assignment    `json:"given"` // without its credential
	Began     time.Time              `json:"began"`
	Values    map[string]valueRecord `json:"values,omitempty"`
	Hidden    []map[string]string    `json:"hidden,omitempty"` // what is masked
	Steps     []build.Step           `json:"steps"`            // setup first
	Step      int                    `json:"step"`             // index in the plan's steps
	Container string                 `json:"container"`
	From      int64                  `json:"from"` // where in the log the output of the step's process begins
}

type valueRecord struct {
	Text   string `json:"text"`
	Secret bool   `json:"secret,omitempty"`
}

func (r *resumption) values() values {
	v := values{}
	for name, one := range r.Values {
		v[name] = value{text: one.Text, secret: one.Secret}
	}
	return v
}

// writeResumption replaces the attempt's resumption. It survives the end of this
// process, not a power cut, which no container survives.
func (b *Builder) writeResumption(k keeping, r *resumption) error {
	plain, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode the step for a restart: %w", err)
	}
	sealed, err := b.Sealer.Seal(plain)
	if err != nil {
		return fmt.Errorf("keep the step for a restart: %w", err)
	}
	name := filepath.Join(k.dir, resumptionFile)
	if err := os.WriteFile(name+newEnding, sealed, 0o600); err != nil {
		return fmt.Errorf("keep the step for a restart: %w", err)
	}
	return os.Rename(name+newEnding, name)
}

// readResumption reads what writeResumption wrote into the same folder. What was
// altered, moved or written by another version is an error.
func (b *Builder) readResumption(k keeping) (*resumption, error) {
	f, err := os.Open(filepath.Join(k.dir, resumptionFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sealed, err := io.ReadAll(io.LimitReader(f, maxResumption))
	if err != nil {
		return nil, fmt.Errorf("read the step of an earlier process: %w", err)
	}
	plain, err := b.Sealer.Open(sealed)
	if err != nil {
		return nil, err
	}
	r, err := decodeResumption(plain)
	if err == nil && fileName(r.Given.Attempt) != filepath.Base(k.dir) {
		err = errors.New("it lies in the folder of another attempt")
	}
	if err != nil {
		return nil, fmt.Errorf("read the step of an earlier process: %w", err)
	}
	return r, nil
}

func decodeResumption(plain []byte) (*resumption, error) {
	var r resumption
	if err := json.Unmarshal(plain, &r); err != nil {
		return nil, err
	}
	switch {
	case r.Version != resumptionVersion:
		return nil, fmt.Errorf("version %d is not known here (this program writes %d)", r.Version, resumptionVersion)
	case r.Step < 0 || r.Step >= len(r.Given.Task.Steps) || len(r.Steps) != len(r.Given.Task.Steps)+1:
		return nil, fmt.Errorf("there is no step %d of %d", r.Step, len(r.Given.Task.Steps))
	case r.Given.Task.Steps[r.Step].Run == nil || r.Container == "":
		return nil, errors.New("the step has no container")
	}
	return &r, nil
}

package project

import (
	"encoding/json"
	"fmt"
	"time"
)

const (
	// recordVersion is the version of the records that this program writes.
	recordVersion = 1
	// maxRecord bounds one record, in bytes: the texts of a project, escaped.
	maxRecord = 64 << 10

	folder = "projects"
	suffix = ".json"
)

func pathOf(key string) string { return folder + "/" + key + suffix }

// A VersionError means that a record was written by a newer program. It is left
// alone: what it says may matter.
type VersionError struct {
	Record  string
	Version int
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s has version %d, this program reads up to %d: use a newer velocity", e.Record, e.Version, recordVersion)
}

type record struct {
	Version      int       `json:"version"`
	Key          string    `json:"key"`
	Name         string    `json:"name"`
	Installation int64     `json:"installation,omitempty"`
	Default      string    `json:"default,omitempty"`
	Clone        string    `json:"clone,omitempty"`
	Page         string    `json:"page,omitempty"`
	Public       bool      `json:"public,omitempty"`
	State        State     `json:"state"`
	Since        time.Time `json:"since"`
}

func encode(p Project) ([]byte, error) {
	data, err := json.MarshalIndent(record{
		recordVersion, p.Key, p.Name, p.Installation, p.Default, p.Clone, p.Page, p.Public, p.State, p.Since,
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode project: %w", err)
	}
	return append(data, '\n'), nil
}

// decode reads a record. Fields it does not know are a newer program's of the same
// version, which may be left out.
func decode(data []byte) (Project, error) {
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return Project{}, fmt.Errorf("decode project: %w", err)
	}
	if r.Version != recordVersion {
		return Project{}, &VersionError{"project", r.Version}
	}
	p := Project{r.Key, r.Name, r.Installation, r.Default, r.Clone, r.Page, r.Public, r.State, r.Since.UTC()}
	if err := p.check(); err != nil {
		return Project{}, fmt.Errorf("decode project: %w", err)
	}
	return p, nil
}

package roster

import (
	"encoding/json"
	"fmt"
	"time"
)

// recordVersion is the version of the records that this program writes.
const recordVersion = 1

// Kinds of records, each a folder.
const (
	kindBuilder      = "builders"      // by name
	kindRegistration = "registrations" // by id
	kindToken        = "tokens"        // by id
)

// A VersionError means that a record was written by a newer program. It is left
// alone: what it says may matter.
type VersionError struct {
	Record  string
	Version int
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s has version %d, this program reads up to %d: use a newer velocity", e.Record, e.Version, recordVersion)
}

type builderRecord struct {
	Version    int               `json:"version"`
	Name       string            `json:"name"`
	Public     string            `json:"public"`
	Curve      string            `json:"curve"`
	Labels     map[string]string `json:"labels,omitempty"`
	Executors  []string          `json:"executors,omitempty"`
	Program    string            `json:"program,omitempty"`
	Untrusted  bool              `json:"untrusted,omitempty"`
	Drained    bool              `json:"drained,omitempty"`
	Revoked    bool              `json:"revoked,omitempty"`
	Registered time.Time         `json:"registered"`
	By         string            `json:"by"`
}

type registrationRecord struct {
	Version   int               `json:"version"`
	ID        string            `json:"id"`
	Hash      string            `json:"hash"`
	Name      string            `json:"name,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Untrusted bool              `json:"untrusted,omitempty"`
	Created   time.Time         `json:"created"`
	Expires   time.Time         `json:"expires"`
	By        string            `json:"by,omitempty"`
}

type tokenRecord struct {
	Version      int       `json:"version"`
	ID           string    `json:"id"`
	Hash         string    `json:"hash"`
	Name         string    `json:"name"`
	Rights       Right     `json:"rights"`
	Repositories []string  `json:"repositories,omitempty"`
	Called       []string  `json:"called,omitempty"`
	Created      time.Time `json:"created"`
	Expires      time.Time `json:"expires,omitzero"`
	By           string    `json:"by,omitempty"`
}

// encode prints a record. Only types of this package come here, and they cannot
// fail once their times are checked.
func encode(v any) ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	return append(data, '\n'), nil
}

// decode reads a record whose version it checks first: the fields of a newer one
// may have other types.
func decode(what string, data []byte, v any) error {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("decode %s: %w", what, err)
	}
	switch {
	case head.Version > recordVersion:
		return &VersionError{Record: what, Version: head.Version}
	case head.Version < 1:
		return fmt.Errorf("decode %s: it has no version", what)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("decode %s: %w", what, err)
	}
	return nil
}

func encodeBuilder(b Builder) ([]byte, error) {
	return encode(builderRecord{
		Version: recordVersion, Name: b.Name, Public: b.Public, Curve: b.Curve, Labels: b.Labels, Executors: b.Executors,
		Program: b.Program, Untrusted: b.Untrusted, Drained: b.Drained, Revoked: b.Revoked, Registered: b.Registered, By: b.By,
	})
}

// decodeBuilder checks the record, too: a repository can be written by others.
func decodeBuilder(data []byte) (Builder, error) {
	var r builderRecord
	if err := decode("a builder's record", data, &r); err != nil {
		return Builder{}, err
	}
	b := Builder{
		Name: r.Name, Public: r.Public, Curve: r.Curve, Labels: r.Labels, Executors: r.Executors, Program: r.Program,
		Untrusted: r.Untrusted, Drained: r.Drained, Revoked: r.Revoked, Registered: r.Registered, By: r.By,
	}
	return b, b.check()
}

func decodeRegistration(data []byte) (registrationRecord, error) {
	var r registrationRecord
	if err := decode("a registration token's record", data, &r); err != nil {
		return r, err
	}
	if r.Expires.IsZero() {
		return r, fmt.Errorf("registration token %.40q has no end", r.ID)
	}
	return r, (Registration{Name: r.Name, Labels: r.Labels}).check()
}

func decodeToken(data []byte) (tokenRecord, error) {
	var r tokenRecord
	if err := decode("a token's record", data, &r); err != nil {
		return r, err
	}
	return r, r.token().check()
}

func (r tokenRecord) token() Token {
	return Token{
		ID: r.ID, Name: r.Name, Rights: r.Rights, Repositories: r.Repositories, Called: r.Called,
		Created: r.Created, Expires: r.Expires, By: r.By,
	}
}

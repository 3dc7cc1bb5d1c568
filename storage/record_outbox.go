package storage

import (
	"fmt"

	"github.com/velocity-ci/velocity/architect/build"
)

// Owed is what plugins are still to be told of a build.
type Owed struct {
	Build   build.ID
	Plugins map[string]Progress // by what they are known by; at least one
}

// Progress is how far one plugin is with the events of a build, of which each has
// its number: the moves of a build emit the same ones in the same order whenever
// they are replayed.
type Progress struct {
	Done int // events that are dealt with, from the first; those it does not want count
	Lost int // how many of these it could not be told of
}

const (
	// outboxFolder is the desk's folder of what plugins are to be told, a file for each
	// build of which that is not all.
	outboxFolder = "outbox"
	// outboxFile names the record in messages and docs.
	outboxFile = "outbox"
	// maxOutbox bounds one record, in bytes.
	maxOutbox = 1 << 20
)

func outboxPath(id build.ID) string { return outboxFolder + "/" + digits(id.Number) + ".json" }

type outboxRecord struct {
	Version int                       `json:"version"`
	Build   build.ID                  `json:"build"`
	Plugins map[string]progressRecord `json:"plugins"`
}

type progressRecord struct {
	Done int `json:"done,omitempty"`
	Lost int `json:"lost,omitempty"`
}

// encodeOutbox prints a record; nil for one that is not kept, as nothing is owed.
func encodeOutbox(o Owed) ([]byte, error) {
	if len(o.Plugins) == 0 {
		return nil, nil
	}
	r := outboxRecord{recordVersion, o.Build, map[string]progressRecord{}}
	for name, p := range o.Plugins {
		r.Plugins[name] = progressRecord(p)
	}
	data, err := encode(outboxFile, r)
	if err == nil && len(data) > maxOutbox {
		err = fmt.Errorf("outbox of build %s has %d bytes, at most %d are kept", o.Build, len(data), maxOutbox)
	}
	return data, err
}

func decodeOutbox(data []byte) (Owed, error) {
	var r outboxRecord
	if err := decode(outboxFile, data, &r); err != nil {
		return Owed{}, err
	}
	o := Owed{Build: r.Build, Plugins: map[string]Progress{}}
	for name, p := range r.Plugins {
		if p.Done < 0 || p.Lost < 0 || p.Lost > p.Done {
			return Owed{}, fmt.Errorf("decode %s: plugin %.80q is done with %d events, of which %d were lost", outboxFile, name, p.Done, p.Lost)
		}
		o.Plugins[name] = Progress(p)
	}
	return o, nil
}

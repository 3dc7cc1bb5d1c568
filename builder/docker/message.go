package docker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// A message is one piece of news of the engine while it pulls, pushes or builds.
type message struct {
	ID     string          `json:"id"`     // of the layer, or ""
	Status string          `json:"status"` // what is done with it
	Stream string          `json:"stream"` // output of a build
	Error  string          `json:"error"`
	Aux    json.RawMessage `json:"aux"` // what came of it
}

// readMessages gives messages to each up to the first failure among them, which
// it returns: the engine answers 200 before it knows. An error means that the
// engine did not come to the end, or is each's own.
func readMessages(r io.Reader, each func(message) error) (refusal string, err error) {
	for d := json.NewDecoder(r); ; {
		var m message
		err := d.Decode(&m)
		switch {
		case errors.Is(err, io.EOF):
			return "", nil
		case err != nil:
			return "", fmt.Errorf("read progress: %w", err)
		case m.Error != "":
			return m.Error, nil
		}
		if err := each(m); err != nil {
			return "", err
		}
	}
}

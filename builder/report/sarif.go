package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/velocity-ci/velocity/architect/build"
)

// maxRules bounds the rules of a report that are remembered.
const maxRules = 10_000

// A rule is what SARIF says about results of one kind (OASIS SARIF 2.1.0, §3.49).
type rule struct {
	ID       string             `json:"id"`
	Short    message            `json:"shortDescription"`
	Messages map[string]message `json:"messageStrings"`
	Default  struct {
		Level string `json:"level"`
	} `json:"defaultConfiguration"`
}

// A message is a text, or the id of one of its rule's (§3.11).
type message struct {
	Text string `json:"text"`
	ID   string `json:"id"`
}

// A result is one thing that was found (§3.27).
type result struct {
	RuleID    string            `json:"ruleId"`
	RuleIndex *int              `json:"ruleIndex"`
	Kind      string            `json:"kind"`
	Level     string            `json:"level"`
	Baseline  string            `json:"baselineState"`
	Message   message           `json:"message"`
	Suppress  []json.RawMessage `json:"suppressions"`
	Rule      struct {
		ID    string `json:"id"`
		Index *int   `json:"index"`
	} `json:"rule"`
	Locations []struct {
		Physical struct {
			Artifact struct {
				URI string `json:"uri"`
			} `json:"artifactLocation"`
			Region struct {
				Line   int `json:"startLine"`
				Column int `json:"startColumn"`
			} `json:"region"`
		} `json:"physicalLocation"`
	} `json:"locations"`
}

// sarif reads one report, run by run. The rules may stand after the results that
// name them, so each run is read twice.
func (r *reader) sarif(file io.Reader) error {
	data, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	runs := false
	err = members(dec, func(name string) error {
		if name != "runs" {
			return skip(dec)
		}
		runs = true
		return elements(dec, func() error {
			var run json.RawMessage
			if err := dec.Decode(&run); err != nil {
				return err
			}
			return r.run(run)
		})
	})
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("not a SARIF report: it ends early")
	case err != nil:
		return fmt.Errorf("not a SARIF report: %w", err)
	case !runs:
		return errors.New("not a SARIF report: it has no runs")
	}
	return nil
}

// run reads one run of a tool.
func (r *reader) run(data []byte) error {
	var rules []rule
	dec := json.NewDecoder(bytes.NewReader(data))
	err := members(dec, func(name string) error {
		if name != "tool" {
			return skip(dec)
		}
		return members(dec, func(name string) error {
			if name != "driver" {
				return skip(dec)
			}
			return members(dec, func(name string) error {
				if name != "rules" {
					return skip(dec)
				}
				return elements(dec, func() error {
					if len(rules) == maxRules {
						return skip(dec)
					}
					rules = append(rules, rule{})
					return dec.Decode(&rules[len(rules)-1])
				})
			})
		})
	})
	if err != nil {
		return err
	}
	dec = json.NewDecoder(bytes.NewReader(data))
	return members(dec, func(name string) error {
		if name != "results" {
			return skip(dec)
		}
		return elements(dec, func() error {
			if len(r.Findings) >= maxFindings {
				return skip(dec)
			}
			var found result
			if err := dec.Decode(&found); err != nil {
				return err
			}
			if f, ok := found.finding(rules, r); ok {
				r.add(f)
			}
			return nil
		})
	})
}

// finding is a result in our words; false if it is nothing that is wrong now.
func (r *result) finding(rules []rule, in *reader) (build.Finding, bool) {
	if r.Kind != "" && r.Kind != "fail" || len(r.Suppress) > 0 || r.Baseline == "absent" {
		return build.Finding{}, false
	}
	of := r.rule(rules)
	f := build.Finding{Kind: build.FromSARIF, Name: clip(in.mask(of.ID)), Message: clip(in.mask(r.text(of)))}
	switch level := r.Level; {
	case level == "error", level == "" && of.Default.Level == "error":
		f.Level = build.LevelError
	case level == "note", level == "none", level == "" && (of.Default.Level == "note" || of.Default.Level == "none"):
		f.Level = build.LevelNotice
	default:
		f.Level = build.LevelWarning // what the standard says where nothing does
	}
	if len(r.Locations) > 0 {
		at := r.Locations[0].Physical
		if f.File = in.places.find(fromURI(at.Artifact.URI)); f.File != "" {
			f.Line, f.Column = max(at.Region.Line, 0), max(at.Region.Column, 0)
		}
	}
	return f, true
}

// rule finds the rule that a result is about: by its place, else by its name.
func (r *result) rule(rules []rule) rule {
	id := r.RuleID
	if id == "" {
		id = r.Rule.ID
	}
	for _, index := range []*int{r.RuleIndex, r.Rule.Index} {
		if index != nil && *index >= 0 && *index < len(rules) {
			return rules[*index]
		}
	}
	for _, of := range rules {
		if of.ID == id {
			return of
		}
	}
	return rule{ID: id}
}

func (r *result) text(of rule) string {
	switch {
	case r.Message.Text != "":
		return r.Message.Text
	case of.Messages[r.Message.ID].Text != "":
		return of.Messages[r.Message.ID].Text
	}
	return of.Short.Text
}

// members calls do with the name of each member of the object that comes next;
// do reads the value.
func members(dec *json.Decoder, do func(name string) error) error {
	return within(dec, '{', func() error {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string) // a name is nothing else
		return do(name)
	})
}

// elements calls do for each element of the array that comes next; do reads it.
func elements(dec *json.Decoder, do func() error) error { return within(dec, '[', do) }

// within reads an object or array. Null stands for an empty one.
func within(dec *json.Decoder, open json.Delim, each func() error) error {
	token, err := dec.Token()
	switch {
	case err != nil:
		return err
	case token == nil:
		return nil
	case token != open:
		return fmt.Errorf("expected %s, found %.40v", open, token)
	}
	for dec.More() {
		if err := each(); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

// skip passes over one value.
func skip(dec *json.Decoder) error {
	var value json.RawMessage
	return dec.Decode(&value)
}

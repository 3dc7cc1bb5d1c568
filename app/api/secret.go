package api

import "time"

// A Secret is all that is told of a secret: everything but its value.
type Secret struct {
	Name       string    `json:"name"`
	Repository string    `json:"repository,omitempty"` // as it is called now, or its key; "" is for all repositories of the site
	Of         *Bound    `json:"of,omitempty"`         // the same, in answers
	Refs       []string  `json:"refs,omitempty"`       // patterns; none: the protected refs
	Events     []string  `json:"events,omitempty"`     // none: push, schedule, manual and local
	Blueprints []string  `json:"blueprints,omitempty"` // none: all
	AnyImage   bool      `json:"anyImage,omitempty"`   // images that see it may be named by tags
	Number     int       `json:"number,omitempty"`     // of the value, from 1
	Set        time.Time `json:"set,omitzero"`
	By         string    `json:"by,omitempty"`
	Used       *Use      `json:"used,omitempty"` // the last time
}

// Bound is a repository that something is for.
type Bound struct {
	Key   string `json:"key"`             // what it stays known by, also under another name
	Name  string `json:"name"`            // as it is called now, as far as the server knows
	Was   string `json:"was,omitempty"`   // what it was called when this was made for it, if otherwise
	State string `json:"state,omitempty"` // archived, away (its forge shows it no more) or unknown; "" if it is served
}

// A Use is one attempt that was given a secret.
type Use struct {
	At      time.Time `json:"at"`
	Attempt string    `json:"attempt"` // build/task/number
	Builder string    `json:"builder"`
}

// A SetSecret sets a secret's value and what it is bound to.
type SetSecret struct {
	Secret Secret `json:"secret"`
	Value  []byte `json:"value"`
}

// A Rotated tells of secrets that were sealed anew, with a new key.
type Rotated struct {
	Secrets int `json:"secrets"` // how many
}

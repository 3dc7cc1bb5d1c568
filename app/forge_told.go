package app

import (
	"context"
	"sync"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/forge/report"
)

// told keeps what forges were told for as long as the process lives.
type told struct{ all *sync.Map }

// Told implements report.Memory.
func (t told) Told(_ context.Context, k report.Key) (forge.Told, error) {
	v, _ := t.all.Load(k)
	is, _ := v.(forge.Told)
	return is, nil
}

// Keep implements report.Memory.
func (t told) Keep(_ context.Context, k report.Key, is forge.Told) error {
	t.all.Store(k, is)
	return nil
}

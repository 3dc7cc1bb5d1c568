//go:build !linux

package host

import "context"

// Reap finds nothing here: only Linux shows the marks of other processes.
func (e *Executor) Reap(context.Context, func(owner string) bool) (int, error) { return 0, nil }

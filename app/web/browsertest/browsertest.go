// Package browsertest has tests look at pages with Chromium.
package browsertest

import (
	"context"
	"os/exec"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/velocity-ci/velocity/builder/require"
)

// A Tab is one of a browser of its own.
type Tab struct {
	context.Context // for the actions of chromedp

	end  func()
	said []string // on the console
}

// Open opens a tab of a browser that lives until ctx or the test ends. The test
// requires chromium.
func Open(ctx context.Context, t *testing.T, more ...chromedp.ExecAllocatorOption) *Tab {
	t.Helper()
	program, err := exec.LookPath("chromium")
	require.Have(t, "chromium", err)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox) // tests may run as root, for whom it has no sandbox
	allocator, end := chromedp.NewExecAllocator(ctx, append(options, more...)...)
	t.Cleanup(end)
	tab, shut := chromedp.NewContext(allocator)
	b := &Tab{Context: tab}
	listening, stop := context.WithCancel(tab)
	messages := chromedp.Console(listening)
	var over sync.WaitGroup
	over.Go(func() {
		for m, err := range messages {
			if err == nil {
				b.said = append(b.said, m.String())
			}
		}
	})
	b.end = func() {
		stop()
		over.Wait()
		shut()
	}
	return b
}

// Close closes the tab, and returns what stands on its console: errors of scripts,
// breaches of a policy, files that are not there. It is called once.
func (b *Tab) Close() []string {
	b.end()
	return b.said
}

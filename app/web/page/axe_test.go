package page

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/velocity-ci/velocity/builder/require"
)

// A barrier keeps somebody from using a page, as axe found it.
type barrier struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string
		FailureSummary string
	}
}

// VELOCITY_AXE names the folder of axe-core, which is not ours to give away.
func findAxe(t *testing.T) string {
	t.Helper()
	axe, err := os.ReadFile(filepath.Join(os.Getenv("VELOCITY_AXE"), "axe.min.js"))
	require.Have(t, "axe", err)
	return string(axe)
}

// Nothing on any page keeps people out who do not see it, do not see its colours, or
// use no mouse: dark and wide, light and on a phone, with all that is folded open.
func TestAccessible(t *testing.T) {
	axe := findAxe(t)
	g := newGlass(t)
	views := shop()
	for _, name := range slices.Sorted(maps.Keys(views)) {
		f := exampleFrame
		f.Now = shopAt
		g.do(chromedp.EmulateViewport(1200, 800), scheme("dark"), chromedp.Navigate(g.putView("/"+name, f, views[name])))
		see(g, chromedp.Evaluate[bool](axe+"; document.querySelectorAll('details').forEach(d => d.open = true); true"))
		g.barriers(name + ", dark")
		g.do(chromedp.EmulateViewport(phone, 800), scheme("light"))
		if wide := see(g, chromedp.Evaluate[int64]("document.documentElement.scrollWidth")); wide > phone {
			t.Errorf("on a phone the page %s is %d pixels wide", name, wide)
		}
		g.barriers(name + ", light, on a phone")
	}
}

// barriers fails the test for each that is serious.
func (g *glass) barriers(where string) {
	g.t.Helper()
	for _, b := range see(g, chromedp.Evaluate[[]barrier](`axe.run({resultTypes: ["violations"]}).then(r => r.violations)`, chromedp.EvalAwaitPromise)) {
		if b.Impact != "serious" && b.Impact != "critical" {
			g.t.Logf("%s: %s, %s: %s", where, b.Impact, b.ID, b.Help)
			continue
		}
		for _, n := range b.Nodes {
			g.t.Errorf("%s: %s, %s: %s\n%.300s\n%s", where, b.Impact, b.ID, b.Help, n.HTML, strings.TrimSpace(n.FailureSummary))
		}
	}
}

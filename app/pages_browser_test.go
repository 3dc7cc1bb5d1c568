package app_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/velocity-ci/velocity/app/web/browsertest"
)

// A viewer looks at the pages of a kiosk with Chromium.
type viewer struct {
	*kiosk
	tab context.Context
	cut bool // the server is away for a time, of which a browser complains
}

// newViewer is one who is signed in. When the test ends, nothing may stand on the
// browser's console: no error of a script, no breach of the policy, no file missing.
func newViewer(t *testing.T, blueprints map[string]string) *viewer {
	t.Helper()
	return browse(newKiosk(t, blueprints))
}

// browse opens a browser, with more options, and signs in.
func browse(k *kiosk, more ...chromedp.ExecAllocatorOption) *viewer {
	t := k.t
	t.Helper()
	tab := browsertest.Open(atHome(t), t, more...)
	v := &viewer{kiosk: k, tab: tab}
	t.Cleanup(func() {
		said := tab.Close()
		if v.cut {
			said = slices.DeleteFunc(said, func(line string) bool { return strings.Contains(line, "net::ERR_") || strings.Contains(line, "502") })
		}
		if len(said) > 0 {
			t.Errorf("the console says:\n%s", strings.Join(said, "\n"))
		}
	})
	v.do(chromedp.Navigate(v.url+"/queue"), chromedp.WaitVisible("#token"),
		chromedp.SendKeys("#token", v.secret+"\n"), chromedp.WaitVisible(".who"))
	if at, err := url.Parse(see(v, chromedp.Location())); err != nil || at.Path != "/queue" {
		t.Fatalf("signing in leads to %s, %v", at, err)
	}
	return v
}

func (v *viewer) do(steps ...chromedp.Action[chromedp.Void]) {
	v.t.Helper()
	if err := chromedp.Do(v.tab, steps...); err != nil {
		v.t.Fatal(err)
	}
}

// see looks at something.
func see[T any](v *viewer, what chromedp.Action[T]) T {
	v.t.Helper()
	got, err := chromedp.Run(v.tab, what)
	if err != nil {
		v.t.Fatal(err)
	}
	return got
}

// A build is watched from before it runs to its end, without the page being loaded
// again and without what was opened being closed.
func TestWatchBuildInBrowser(t *testing.T) {
	begin, end := newGate(t), newGate(t)
	v := newViewer(t, map[string]string{"shop": `steps:
- {type: run, description: wait, script: 'read go <` + begin.path + `'}
- {type: run, description: fail, script: 'read go <` + end.path + `; exit 3'}
`})
	id := v.start("shop")
	v.do(chromedp.Navigate(v.url+"/builds/"+id), chromedp.WaitVisible("#outcome .building"))
	v.use("#s0t0-steps summary")
	v.do(chromedp.WaitVisible("#s0t0-steps li.building:nth-child(2)"))
	see(v, chromedp.Evaluate[bool]("window.stayed = true"))
	begin.open()
	v.do(chromedp.WaitVisible("#s0t0-steps li.building:nth-child(3)"))
	v.use("#s0t0-steps summary")
	end.open()
	v.do(chromedp.WaitVisible("#outcome .failed"), chromedp.WaitReady("#live:not([data-live])"))
	if text := see(v, chromedp.Text("#outcome")); !strings.Contains(text, "exit 3") {
		t.Errorf("the outcome is %q", text)
	}
	if title := see(v, chromedp.Title()); !strings.HasPrefix(title, "failed: shop "+id) {
		t.Errorf("the title is %q", title)
	}
	if !see(v, chromedp.Evaluate[bool]("window.stayed === true && !document.querySelector('#s0t0-steps').open")) {
		t.Error("the page was loaded again, or opened what was closed")
	}
	if n := see(v, chromedp.Evaluate[int]("document.querySelectorAll('#chart rect.failed').length")); n != 1 {
		t.Errorf("the chart has %d failed bars", n)
	}
}

// A log is followed to its end: what comes is there once, in its colours, and what
// looks like HTML is text.
func TestFollowLogInBrowser(t *testing.T) {
	first, second := newGate(t), newGate(t)
	v := newViewer(t, map[string]string{"talk": `steps:
- type: run
  description: talk
  script: |
    echo before
    read go <` + first.path + `
    printf '\033[31m<img src=x onerror="window.hit=1">\033[0m\n'
    i=0; while [ $i -lt 200 ]; do echo "line $i"; i=$((i+1)); done
    read go <` + second.path + `
    echo '<script>window.hit=1</script>'
`})
	id := v.start("talk")
	v.do(chromedp.Navigate(v.url+"/builds/"+id+"/log/s0t0"), chromedp.WaitVisible("#L1"))
	first.open()
	v.do(chromedp.WaitReady("#L202"))
	second.open()
	v.do(chromedp.WaitReady("#L203"), chromedp.WaitVisible("#state .succeeded"))
	live := see(v, chromedp.Evaluate[[]string]("[...document.querySelectorAll('.l')].map(l => l.id + ' ' + l.querySelector('.c').innerHTML)"))
	v.do(chromedp.Navigate(v.url+"/builds/"+id+"/log/s0t0#L3-L5"), chromedp.WaitReady("#L3.on"))
	drawn := see(v, chromedp.Evaluate[[]string]("[...document.querySelectorAll('.l')].map(l => l.id + ' ' + l.querySelector('.c').innerHTML)"))
	if len(live) != 203 || strings.Join(live, "\n") != strings.Join(drawn, "\n") {
		t.Errorf("followed, there are %d lines; loaded, %d: %.300q, %.300q", len(live), len(drawn), live, drawn)
	}
	if want := `L2 <span class="f1">&lt;img src=x onerror="window.hit=1"&gt;</span>`; len(drawn) < 2 || drawn[1] != want {
		t.Errorf("the second line is %q; want %q", drawn[1], want)
	}
	if see(v, chromedp.Evaluate[bool]("window.hit === 1 || document.querySelectorAll('#log img, #log script').length > 0")) {
		t.Error("what a build printed was run")
	}
	if n := see(v, chromedp.Evaluate[int]("document.querySelectorAll('.l.on').length")); n != 3 {
		t.Errorf("%d lines are marked; want 3", n)
	}
}

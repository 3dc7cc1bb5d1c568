package app_test

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// press presses keys, as one who has no mouse.
func (v *viewer) press(keys string) { v.do(chromedp.KeyEvent(keys)) }

// use does with the keys what a click would do to a link, a button or a summary: where
// it stands on the page does not matter, which may still be loading.
func (v *viewer) use(selector string) {
	v.t.Helper()
	v.do(chromedp.WaitVisible(selector), chromedp.Focus(selector), chromedp.KeyEvent(kb.Enter))
}

// await waits for something on the page for as long as the browser lives: how soon a
// busy machine comes to it says nothing.
func (v *viewer) await(condition string) {
	v.t.Helper()
	v.do(chromedp.Poll[chromedp.Void](condition, chromedp.WithPollingTimeout(0)))
}

// reloadUntil opens the page again until it has what a selector names.
func (v *viewer) reloadUntil(selector string) {
	v.t.Helper()
	for !see(v, chromedp.Evaluate[bool]("document.querySelector(`"+selector+"`) !== null")) {
		v.do(chromedp.Reload())
	}
}

// tabTo presses Tab until the focus is on what a selector names.
func (v *viewer) tabTo(selector string) {
	v.t.Helper()
	for range 60 {
		v.press(kb.Tab)
		if see(v, chromedp.Evaluate[bool]("document.activeElement.matches(`"+selector+"`)")) {
			return
		}
	}
	v.t.Fatalf("Tab does not lead to %s", selector)
}

// focusable is all that can be used on a page, in its order; focused is what the focus
// is on, and whether that can be seen.
const (
	focusable = `[...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, summary, [tabindex='0']")].filter(e => e.checkVisibility()).length`
	focused   = `(() => {
		const e = document.activeElement, box = e.getBoundingClientRect(), look = getComputedStyle(e);
		if (e === document.body) return "";
		const top = Math.max(box.top, 0), bottom = Math.min(box.bottom, innerHeight); // what is long is seen in part
		const seen = box.width > 1 && box.left >= 0 && bottom - top >= 10 && look.outlineStyle !== "none" && parseFloat(look.outlineWidth) >= 2;
		const on = document.elementFromPoint(box.left + box.width / 2, (top + bottom) / 2);
		const free = on && (e.contains(on) || on.contains(e));
		window.before ??= [];
		const next = window.before.every(b => b.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING);
		window.before.push(e);
		return (seen ? "" : "not seen: ") + (free ? "" : "covered: ") + (next ? "" : "out of order: ") + e.outerHTML.slice(0, 100) + " from " + box.top + " to " + box.bottom + " of " + innerHeight + ", " + look.outline;
	})()`
)

// walk presses Tab through all of a page.
func (v *viewer) walk(path string) {
	v.t.Helper()
	v.do(chromedp.Navigate(v.url+path), chromedp.WaitVisible("h1"))
	want := see(v, chromedp.Evaluate[int](focusable))
	for n := range want {
		v.press(kb.Tab)
		at := see(v, chromedp.Evaluate[string](focused))
		for _, trouble := range []string{"not seen: ", "covered: ", "out of order: "} {
			if at == "" || strings.Contains(at, trouble) {
				v.t.Errorf("on %s, Tab number %d of %d leads to %q", path, n+1, want, at)
				break
			}
		}
	}
}

// Without a mouse, all can be reached in its order, seen, and used.
func TestKeyboardOnly(t *testing.T) {
	v := newViewer(t, map[string]string{"shop": "steps: [{type: run, description: sell, script: 'echo sold'}]\n"})
	id := v.start("shop")
	v.do(chromedp.Navigate(v.url+"/builds/"+id), chromedp.WaitReady("#live:not([data-live])"))
	for _, path := range []string{"/", "/builds?repository=shop", "/builds/" + id, "/builds/" + id + "/log/s0t0", "/builds/" + id + "/events", "/queue", "/builders"} {
		v.walk(path)
	}
	v.do(chromedp.Navigate(v.url+"/"), chromedp.WaitVisible("h1"))
	v.press(kb.Tab)
	if see(v, chromedp.Evaluate[string]("document.activeElement.className")) != "skip" {
		t.Error("the first Tab does not lead to the content")
	}
	v.press(kb.Enter)
	v.await(`document.activeElement.id === "main"`)
	v.tabTo("h2 a")
	v.press(kb.Enter)
	v.do(chromedp.WaitVisible(".rows"))
	v.tabTo("[name=author]")
	v.press("nobody" + kb.Enter)
	v.do(chromedp.WaitVisible(`[name=author][value=nobody]`))
	if see(v, chromedp.Evaluate[bool](`document.querySelector(".rows") !== null`)) {
		t.Error("a build of nobody was found")
	}
	v.tabTo(".filter > a")
	v.press(kb.Enter)
	v.do(chromedp.WaitVisible(".rows"))
	v.tabTo("[name=state]")
	v.press("s") // the one that begins with it
	v.tabTo(".filter button")
	v.press(kb.Enter)
	v.do(chromedp.WaitReady(`[name=state] option[selected]`), chromedp.WaitVisible(`.rows .succeeded`)) // which the page before had, too
	v.tabTo("a.main")
	v.press(kb.Enter)
	v.do(chromedp.WaitVisible("#s0t0"))
	v.tabTo("#s0t0-steps summary")
	v.press(kb.Enter)
	v.do(chromedp.WaitVisible("#s0t0-steps li.succeeded"))
	v.use("#s0t0 a.main")
	v.do(chromedp.WaitVisible("#L1"))
	v.tabTo("[name=q]")
	v.press("sold" + kb.Enter)
	v.do(chromedp.WaitVisible(".matches li a"))
}

// Without scripts, the same can be read and used.
func TestWithoutScripts(t *testing.T) {
	end := newGate(t)
	v := newViewer(t, map[string]string{"shop": "steps: [{type: run, description: sell, script: 'echo sold; read go <" + end.path + "; exit 3'}]\n"})
	v.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		return t.Call(ctx, "Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	}))
	v.use(".who button")
	v.do(chromedp.WaitVisible("#token"), chromedp.SendKeys("#token", v.secret+"\n"), chromedp.WaitVisible(".who"))
	id := v.start("shop")
	v.use(".cards h2 a")
	v.do(chromedp.WaitVisible("h1"), chromedp.WaitVisible(".filter"))
	v.reloadUntil(".rows .building") // it is in the list as soon as it is recorded
	v.use("a.main")
	v.do(chromedp.WaitVisible("#outcome .building"))
	v.reloadUntil("#s0t0 a.main") // it has begun
	v.use("#s0t0 a.main")
	v.do(chromedp.WaitVisible("#log"))
	v.reloadUntil("#L1")
	if said := see(v, chromedp.Text("#more")); !strings.Contains(said, "open the page again") {
		t.Errorf("below a log that is not over stands %q", said)
	}
	end.open()
	v.reloadUntil("#state .failed")
	v.use(".trail li:last-child a")
	v.do(chromedp.WaitVisible("#outcome .failed"))
	v.use("#s0t0-steps summary")
	v.do(chromedp.WaitVisible("#s0t0-steps li.failed"))
	v.use("#chart-table summary")
	v.do(chromedp.WaitVisible("#chart-table tbody tr"))
	v.use(".links a:first-child")
	v.do(chromedp.WaitVisible(".plan"), chromedp.Navigate(v.url+"/builds?repository=shop&state=failed"), chromedp.WaitVisible(".rows .failed"),
		chromedp.SendKeys("[name=author]", "nobody\n"), chromedp.WaitVisible("[name=author][value=nobody]"))
	if n := see(v, chromedp.Evaluate[int]("document.querySelectorAll('.row').length")); n != 0 {
		t.Errorf("%d builds of nobody are listed, such as %s", n, id)
	}
}

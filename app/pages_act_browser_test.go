package app_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

// path is that of the page.
func (v *viewer) path() string {
	v.t.Helper()
	at, err := url.Parse(see(v, chromedp.Location()))
	if err != nil {
		v.t.Fatal(err)
	}
	return at.Path
}

// A build is watched until it fails, and what failed is run again, with nothing but
// the keyboard: on a server that is no secure origin to the browser, as those in a
// house's own network are.
func TestRerunFailedInBrowser(t *testing.T) {
	gate := newGate(t)
	k := newKiosk(t, map[string]string{"shop": "steps: [{type: run, description: wait, script: 'read go <" + gate.path + "; exit 3'}]\n"})
	k.url = strings.Replace(k.url, "127.0.0.1", "ci.example", 1)
	id := func() string {
		here := *k
		here.url = strings.Replace(k.url, "ci.example", "127.0.0.1", 1)
		return here.start("shop")
	}()
	v := browse(k, chromedp.Flag("host-resolver-rules", "MAP ci.example 127.0.0.1"))
	v.do(chromedp.Navigate(v.url+"/builds/"+id), chromedp.WaitVisible("#outcome .building"), chromedp.WaitVisible("#cancel"))
	gate.open()
	v.do(chromedp.WaitVisible("#outcome .failed"), chromedp.WaitVisible("#rerun-failed"))
	v.tabTo("#rerun-failed button")
	v.press(kb.Enter)
	v.do(chromedp.WaitVisible(".said"), chromedp.WaitVisible("#live[data-live]"))
	again := v.path()
	if said := see(v, chromedp.Text(".said")); said != "You asked for this build." || again == "/builds/"+id {
		t.Errorf("after Enter the page is %s, and says %q", again, said)
	}
	v.tabTo("#cancel button")
	v.press(kb.Enter)
	v.do(chromedp.WaitVisible(`//p[@role="status"][contains(., "canceled by ann")]`), chromedp.WaitVisible("#outcome .failed"))
	if v.path() != again {
		t.Errorf("canceled, the page is %s; want %s", v.path(), again)
	}

	v.do(chromedp.Navigate(v.url+"/builds/"+id), chromedp.WaitVisible("#rerun"))
	see(v, chromedp.Evaluate[bool]("[1, 2].every(() => document.querySelector('#rerun button').click() === undefined)"))
	v.do(chromedp.WaitVisible(".said"))
	v.do(chromedp.Navigate(v.url+"/builds?repository=shop"), chromedp.WaitVisible(".rows"))
	if n := see(v, chromedp.Evaluate[int]("document.querySelectorAll('.row').length")); n != 3 {
		t.Errorf("after two re-runs, one of them pressed twice, there are %d builds; want 3", n)
	}
}

// The build of a fork is approved with nothing but the keyboard.
func TestApproveInBrowser(t *testing.T) {
	w := newTown(t, forgetest.GitHubOptions{})
	_, path := w.heldBuild()
	v := browse(w.kioskOf("act"))
	v.do(chromedp.Navigate(v.url+path), chromedp.WaitVisible("#approve"))
	commit := see(v, chromedp.Evaluate[string]("document.querySelector('#approve [name=commit]').value"))
	v.tabTo("#approve button")
	v.press(kb.Enter)
	v.do(chromedp.WaitVisible(".said"))
	if said := see(v, chromedp.Text(".said")); !strings.HasPrefix(said, "ann approved commit "+commit+" by plan ") || v.path() != path {
		t.Errorf("approved, the page is %s, and says %q", v.path(), said)
	}
	if see(v, chromedp.Evaluate[bool]("document.querySelector('#approval') !== null")) {
		t.Error("approved, it waits for approval still")
	}
}

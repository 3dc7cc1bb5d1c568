package page

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// Pictures of all pages go into the folder that VELOCITY_SHOTS names, light, dark and
// on a phone, for people to look at: no test can tell whether a page is beautiful.
func TestShots(t *testing.T) {
	folder := os.Getenv("VELOCITY_SHOTS")
	if folder == "" {
		return
	}
	g := newGlass(t)
	for name, v := range shop() {
		f := exampleFrame
		f.Now = shopAt
		url := g.putView("/"+name, f, v)
		for _, kind := range []struct {
			name, scheme string
			width        int64
		}{{"light", "light", 1200}, {"dark", "dark", 1200}, {"phone", "light", phone}} {
			g.do(chromedp.EmulateViewport(kind.width, 800), scheme(kind.scheme), chromedp.Navigate(url))
			picture := see(g, chromedp.FullScreenshot(100))
			if err := os.WriteFile(filepath.Join(folder, name+"_"+kind.name+".png"), picture, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
}

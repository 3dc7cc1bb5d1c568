package gitlab

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
)

// The tokens are not told by whatever prints what holds them.
func TestTokensAreNotPrintedByWhatHoldsThem(t *testing.T) {
	o := Options{Token: NewToken("glpat-hidden-of-api"), FetchToken: NewToken("glpat-hidden-of-fetch"), Transport: http.DefaultTransport, Now: time.Now}
	g, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	credential, err := g.Credential(t.Context(), forge.Repository{})
	if err != nil || credential.Password() != "glpat-hidden-of-fetch" {
		t.Fatalf("Credential = %v, %v", credential, err)
	}
	type holder struct{ v any }
	var printed strings.Builder
	for _, v := range []any{o, &o, g, credential, &credential} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
			fmt.Fprintf(&printed, verb+verb+verb+"\n", v, holder{v}, &holder{v})
		}
		slog.New(slog.NewTextHandler(&printed, nil)).Info("all", "v", v)
	}
	text := printed.String()
	if i := strings.Index(text, "hidden"); i >= 0 {
		t.Errorf("printed: %s", text[max(0, i-200):i+10])
	}
}

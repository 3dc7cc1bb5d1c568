package hooks

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// A sink is an Inbox that keeps nothing.
type sink struct{}

func (sink) Accept(context.Context, Delivery) error { return nil }

// pushOf is a push of a usual size, most of which are commits that nobody reads.
func pushOf(size int) []byte {
	body := []byte(`{"ref":"refs/heads/main","after":"` + two + `","head_commit":{"id":"` + two + `"},"repository":{"id":1},"commits":[`)
	entry := []byte(`{"id":"` + one + `","message":"a change","added":["a/b/c.go"],"author":{"name":"Ann"}},`)
	for len(body) < size {
		body = append(body, entry...)
	}
	return append(bytes.TrimSuffix(body, []byte(",")), "]}"...)
}

// BenchmarkReceive is one delivery, from its head to the inbox, which keeps nothing.
func BenchmarkReceive(b *testing.B) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"8KiB", 8 << 10}, {"1MiB", 1 << 20}} {
		body := pushOf(size.bytes)
		hub, lab := gitHub(b, testReceiver(sink{})), gitLab(b, testReceiver(sink{}), true)
		token := gitLab(b, testReceiver(sink{}), false)
		forged := hubPost("push", "1", body)
		forged.Header.Set("X-Hub-Signature-256", hubSign("other", body))
		for _, side := range []struct {
			name string
			h    http.Handler
			r    *http.Request
			want int
		}{
			{"GitHub", hub, hubPost("push", "1", body), http.StatusAccepted},
			{"GitHubForged", hub, forged, http.StatusUnauthorized},
			{"GitLabToken", token, labPost("Push Hook", "1", body), http.StatusAccepted},
			{"GitLabSigned", lab, labSigned("Push Hook", "1", testNow, body), http.StatusAccepted},
		} {
			b.Run(side.name+"/"+size.name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(body)))
				for b.Loop() {
					side.r.Body = io.NopCloser(bytes.NewReader(body))
					w := answer{httptest.NewRecorder()}
					side.h.ServeHTTP(w, side.r)
					if w.Code != side.want {
						b.Fatalf("answered %d; want %d", w.Code, side.want)
					}
				}
			})
		}
	}
}

// BenchmarkDecode is what a delivery says, and what is done about it.
func BenchmarkDecode(b *testing.B) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"8KiB", 8 << 10}, {"1MiB", 1 << 20}} {
		d := Delivery{Forge: fromGitHub, Event: "push", Body: pushOf(size.bytes)}
		b.Run(size.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(d.Body)))
			for b.Loop() {
				e, err := Decode(d)
				if err != nil || Decide(e, 0).Action != Build {
					b.Fatalf("Decode = %+v, %v", e, err)
				}
			}
		})
	}
}

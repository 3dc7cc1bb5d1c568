package bench

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

func BenchmarkZZ(b *testing.B) {
	w := newTown(b, 1, 1, `command: "true"`)
	w.builder(1)
	w.push()
	for range 3 {
		before := len(w.hub.Calls())
		r, sha := w.push()
		sent, _ := w.hub.Hooks.WaitDelivery(b.Context(), func(d forgetest.Delivery) bool {
			return d.Event == "push" && bytes.Contains(d.Body, []byte(sha))
		})
		made := w.built(r, sha)
		task := made.Stages[0].Tasks[0]
		w.asked(made.ID.String(), `"completed"`)
		out := fmt.Sprintf("answered %v\n", sent.Took)
		for _, c := range w.hub.Calls()[before:] {
			out += fmt.Sprintf("%6.1f %s %s?%.30s %d\n", c.At.Sub(sent.Sent).Seconds()*1000, c.Method, c.Path, c.Query, c.Status)
		}
		out += fmt.Sprintf("received %.1f created %.1f ready %.1f started %.1f finished %.1f\n", made.Trigger.Received.Sub(sent.Sent).Seconds()*1000, made.Created.Sub(sent.Sent).Seconds()*1000,task.Ready.Sub(sent.Sent).Seconds()*1000, task.Started.Sub(sent.Sent).Seconds()*1000, task.Finished.Sub(sent.Sent).Seconds()*1000)
		os.Stderr.WriteString(out + "\n")
	}
}

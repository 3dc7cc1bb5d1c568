package page

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTicks(t *testing.T) {
	for _, c := range []struct{ end, want string }{
		{"20ms", "[{0.00% 0} {25.00% 5ms} {50.00% 10ms} {75.00% 15ms}]"},
		{"9s", "[{0.00% 0} {22.22% 2s} {44.44% 4s} {66.67% 6s} {88.89% 8s}]"},
		{"3h", "[{0.00% 0} {33.33% 1h} {66.67% 2h}]"},
	} {
		span, err := time.ParseDuration(c.end)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(scale{from: noon, span: span}.ticks()); got != c.want {
			t.Errorf("ticks of %s are %s; want %s", c.end, got, c.want)
		}
	}
}

// The chart of the example, in the words that a screen reader says.
func TestChart(t *testing.T) {
	var got []string
	for _, l := range chartOf(exampleBuild(), after(12)).Lanes {
		for _, r := range l.Rows {
			got = append(got, r.Said())
		}
	}
	want := []string{
		"unit, failed, attempt 2 on b1, exit 2, retry 1/1: 2.0s, waited for a builder: 1.0s, attempt 3 on b1: 4.0s, setup, succeeded: 0ms, make, failed: 4.0s",
		"lint, succeeded, waited for a builder: 500ms, attempt 1 on b2: 500ms, setup, succeeded: 0ms, make, succeeded: 500ms",
		"docs, reused",
		"image, ready, waited for the stage test: 9.0s, waited for a builder: 3.0s",
		"notes, building, waited for the stage test: 9.0s, waited for a builder: 500ms, attempt 1 on b1: 2.5s, setup, succeeded: 0ms, make, building: 2.5s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

package page

import (
	"fmt"
	"strings"
	"time"
)

// A tick is a mark on the axis of time.
type tick struct {
	At    string // percent
	Label string // time since the build was submitted
}

// scale puts times on an axis.
type scale struct {
	from time.Time
	span time.Duration
}

func (s scale) at(t time.Time) string { return percent(t.Sub(s.from), s.span) }

// width is never nothing: what took no time is still to be seen.
func (s scale) width(from, to time.Time) string {
	return percent(max(to.Sub(from), s.span/400), s.span)
}

func percent(part, of time.Duration) string {
	return fmt.Sprintf("%.2f%%", 100*min(1, max(0, float64(part)/float64(of))))
}

// steps of the axis, of which the smallest is taken that makes at most maxTicks.
var tickSteps = []time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

const maxTicks = 5

func (s scale) ticks() []tick {
	step := tickSteps[len(tickSteps)-1]
	for _, candidate := range tickSteps {
		if s.span/candidate < maxTicks {
			step = candidate
			break
		}
	}
	for s.span/step >= maxTicks {
		step *= 2
	}
	ticks := []tick{}
	for at := time.Duration(0); at < s.span*19/20; at += step { // a label at the very end would be cut off
		ticks = append(ticks, tick{At: percent(at, s.span), Label: tickLabel(at)})
	}
	return ticks
}

// tickLabel is a duration without what is nothing: 0, 500ms, 5s, 1m, 2h.
func tickLabel(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

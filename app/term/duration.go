package term

import (
	"fmt"
	"time"
)

// Duration prints a span of time as people read it: 35ms, 3.2s, 3m12s, 1h04m.
// A negative one, which only clocks that were set back make, is 0ms.
func Duration(d time.Duration) string {
	d = max(d, 0)
	// The borders are where the rounded text would reach the next form.
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute-50*time.Millisecond:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour-time.Second/2:
		s := int(d.Round(time.Second).Seconds())
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	m := int(d.Round(time.Minute).Minutes())
	return fmt.Sprintf("%dh%02dm", m/60, m%60)
}

// elapsed is how long something took, or has taken so far; ok is false if it has
// not begun.
func elapsed(started, finished, now time.Time) (text string, ok bool) {
	if started.IsZero() {
		return "", false
	}
	if finished.IsZero() {
		finished = now
	}
	return Duration(finished.Sub(started)), true
}

// Bytes prints a number of bytes in decimal units: 812 B, 56.7 kB, 1.2 GB.
func Bytes(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n)/1000, 0
	for v >= 999.95 && unit < len(units)-1 {
		v /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", v, units[unit])
}

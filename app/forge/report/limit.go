package report

import "time"

// Writes of one lane. GitHub takes about 80 a minute and 500 an hour that make
// content, from one installation: these add up to at most 70 and 400 in any.
const (
	minuteBurst, minuteRate = 10.0, 60.0  // at once, and more a minute
	hourBurst, hourRate     = 100.0, 300. // at once, and more an hour
)

// reserve is the part of the budget that is left for posts of higher ranks.
var reserve = map[rank]float64{progress: 0.5, create: 0.2, finish: 0}

// A budget is what a lane may still write. It is used by one goroutine at a time.
type budget struct{ minute, hour bucket }

func newBudget(now time.Time) budget {
	return budget{
		minute: bucket{size: minuteBurst, every: time.Duration(float64(time.Minute) / minuteRate), left: minuteBurst, at: now},
		hour:   bucket{size: hourBurst, every: time.Duration(float64(time.Hour) / hourRate), left: hourBurst, at: now},
	}
}

// wait is how long a post of a rank has to wait; 0 if it may be made now.
func (b *budget) wait(r rank, now time.Time) time.Duration {
	return max(b.minute.wait(1+reserve[r]*minuteBurst, now), b.hour.wait(1+reserve[r]*hourBurst, now))
}

// take spends n writes, also more than there are: those that come have to wait.
func (b *budget) take(n int, now time.Time) {
	b.minute.take(float64(n), now)
	b.hour.take(float64(n), now)
}

// A bucket holds up to size writes, and gets one more with every passing of a time.
type bucket struct {
	size  float64
	every time.Duration
	left  float64
	at    time.Time // as of when
}

func (b *bucket) fill(now time.Time) {
	if now.After(b.at) {
		b.left = min(b.size, b.left+float64(now.Sub(b.at))/float64(b.every))
		b.at = now
	}
}

func (b *bucket) wait(n float64, now time.Time) time.Duration {
	b.fill(now)
	if b.left >= n {
		return 0
	}
	return time.Duration((n-b.left)*float64(b.every)) + 1 // rounded up
}

func (b *bucket) take(n float64, now time.Time) {
	b.fill(now)
	b.left -= n
}

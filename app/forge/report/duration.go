package report

import (
	"time"

	"github.com/velocity-ci/velocity/app/term"
)

// span is how long something took; "" if it did not begin or has not ended.
func span(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return ""
	}
	return term.Duration(to.Sub(from))
}

package web

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Once is of one page that was drawn: what is asked for from it twice, because a
// button was pressed twice or a page was sent again, is asked for once. The zero
// value is of no page.
type Once struct {
	At   time.Time // to the microsecond
	Text string    // of its own
}

func newOnce(now time.Time) Once {
	return Once{At: now.UTC().Truncate(time.Microsecond), Text: rand.Text()}
}

// String is the value of a form's field.
func (o Once) String() string { return strconv.FormatInt(o.At.UnixMicro(), 36) + "." + o.Text }

// oldestForm is how long a page can be open whose buttons work.
const oldestForm = 30 * 24 * time.Hour

// maxOnce bounds the text of a once, in bytes.
const maxOnce = 40

// readOnce reads what String made. The error is for who looks at the page.
func readOnce(value string, now time.Time) (Once, error) {
	at, text, _ := strings.Cut(value, ".")
	micro, err := strconv.ParseInt(at, 36, 64)
	o := Once{At: time.UnixMicro(micro).UTC(), Text: text}
	switch {
	case err != nil, text == "", len(text) > maxOnce, o.At.After(now):
		return Once{}, statusError{http.StatusBadRequest, errors.New("this did not come from a form of this server: open the page again")}
	case now.Sub(o.At) > oldestForm:
		return Once{}, statusError{http.StatusConflict, errors.New("this page was open for too long: open it again")}
	}
	return o, nil
}

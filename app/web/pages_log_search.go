package web

import (
	"net/url"
	"strconv"

	"github.com/velocity-ci/velocity/app/web/page"
	"github.com/velocity-ci/velocity/architect/build"
)

// Bounds of a search, by its time and by what it shows.
const (
	maxMatches   = 200       // lines on one page
	maxSearch    = 200       // bytes of what is looked for
	searchAtOnce = 128 << 20 // bytes of a log that one request looks through
	aboveMatch   = 20        // lines that a window shows above the one that was found
)

// Parameters of a search: the text, and the place behind or before which lines are
// looked for.
const (
	paramText   = "q"
	paramBehind = "behind"
	paramBefore = "before"
)

// search looks for a text in a log, which may be long: it holds no more of it than a
// block and the lines that it shows.
func (v *logView) search(q url.Values, to *page.Log) error {
	text := build.Clip(q.Get(paramText), maxSearch)
	if text == "" {
		return nil
	}
	to.Search = &page.Search{Text: text}
	if before, ok := page.ParsePlace(q.Get(paramBefore)); ok && before.Offset <= searchAtOnce {
		return v.searchBefore(before, to.Search)
	}
	start := page.Place{Number: 1}
	from, ok := page.ParsePlace(q.Get(paramBehind))
	if !ok {
		from = start
	}
	if from != start {
		to.Search.First = v.matches(text, "", start)
		if from.Offset <= searchAtOnce {
			to.Search.Earlier = v.matches(text, paramBefore, from)
		}
	}
	return v.searchBehind(from, to.Search)
}

// searchBehind finds the first lines behind a place.
func (v *logView) searchBehind(from page.Place, to *page.Search) error {
	stopped, err := v.scan(to.Text, from, from.Offset+searchAtOnce, func(at page.Place, line []byte) (enough bool) {
		if len(to.Found) == maxMatches {
			to.Later = v.matches(to.Text, paramBehind, at)
			return true
		}
		to.Found = append(to.Found, v.found(at, line))
		return false
	})
	if to.Unread = err == nil && to.Later == "" && stopped != nil; to.Unread {
		to.Later = v.matches(to.Text, paramBehind, *stopped)
	}
	return err
}

// searchBefore finds the last lines before a place.
func (v *logView) searchBefore(before page.Place, to *page.Search) error {
	_, err := v.scan(to.Text, page.Place{Number: 1}, before.Offset, func(at page.Place, line []byte) (enough bool) {
		if at.Offset >= before.Offset {
			return true
		}
		if to.Found = append(to.Found, v.found(at, line)); len(to.Found) > 2*maxMatches {
			to.Found = to.Found[:copy(to.Found, to.Found[maxMatches:])]
		}
		return false
	})
	if more := len(to.Found) - maxMatches; more > 0 {
		to.Found = to.Found[more:]
		first := to.Found[0]
		to.First = v.matches(to.Text, "", before)
		to.Earlier = v.matches(to.Text, paramBefore, page.Place{Offset: first.Offset, Number: first.Number})
	}
	to.Later = v.matches(to.Text, paramBehind, before)
	return err
}

// scan hands over the lines from a place on that have a text, until each has enough,
// the log ends, or it has come to an offset: then it returns the place.
func (v *logView) scan(text string, from page.Place, until int64, each func(at page.Place, line []byte) (enough bool)) (*page.Place, error) {
	needle, enough := page.NewNeedle(text), false
	for c := (page.Cutter{Place: from}); !enough; {
		if c.Offset >= until {
			return &c.Place, nil
		}
		data, err := v.read(c.Offset, blockSize)
		if err != nil {
			return nil, err
		}
		last := len(data) < blockSize
		c.Each(data, last, func(at page.Place, line []byte) {
			if !enough && needle.In(line) {
				enough = each(at, line)
			}
		})
		if last {
			return nil, nil
		}
	}
	return nil, nil
}

func (v *logView) found(at page.Place, line []byte) page.Match {
	return page.Match{Line: page.LineOf(at, line), Query: v.address("line", max(1, at.Number-aboveMatch), false)}
}

// matches is the query of other lines that have a text; of the first with "".
func (v *logView) matches(text, where string, place page.Place) string {
	a := url.Values{"attempt": {strconv.Itoa(v.attempt)}, paramText: {text}}
	if where != "" {
		a.Set(where, place.String())
	}
	return "?" + a.Encode()
}

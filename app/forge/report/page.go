package report

import (
	"fmt"
	"strings"
)

// MaxBytes bounds the summary, and the text, of a check. A forge that takes less
// has to cut; GitHub takes 65,535 bytes.
const MaxBytes = 60_000

// A page is Markdown that stays within a limit: blocks are there as a whole or not
// at all, so that no fence is left open.
type page struct {
	out   strings.Builder
	limit int
	alone bool // there is no other place that has more
}

// add appends a block if it fits.
func (p *page) add(block string) bool {
	if p.out.Len()+len(block) > p.limit {
		return false
	}
	p.out.WriteString(block)
	return true
}

// list appends blocks until one does not fit, and says how many are missing. Room
// is kept for that.
func (p *page) list(what string, blocks []string) {
	const room = 100
	p.limit -= room
	left := len(blocks)
	for _, block := range blocks {
		if !p.add(block) {
			break
		}
		left--
	}
	p.limit += room
	if left > 0 {
		where := ", which the build's page has"
		if p.alone {
			where = ""
		}
		p.add(fmt.Sprintf("\n… and %s more%s.\n", count(left, what), where))
	}
}

// within writes a part of the page that gets at most n bytes.
func (p *page) within(n int, write func(*page)) {
	part := page{limit: min(n, p.limit-p.out.Len()), alone: p.alone}
	write(&part)
	p.add(part.out.String())
}

func (p *page) String() string { return p.out.String() }

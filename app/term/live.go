package term

import (
	"bytes"
	"fmt"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
)

const (
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
	// pendingLimit bounds, in bytes, the log lines held back between two redraws.
	pendingLimit = 256 << 10
)

// live shows a block of stages and tasks at the bottom of a terminal and redraws
// it in place; log lines scroll by above. What is written between two ticks is
// held back, so that a build which prints a lot costs no redraws.
type live struct {
	p     *Progress
	size  func() (columns, rows int)
	now   func() time.Time
	style style

	drawn   int    // lines of the block on the screen
	hidden  bool   // the cursor
	pending []byte // lines for above the block
}

func (f *live) moved(prev, b *build.Build) {
	if prev == nil {
		prev = &build.Build{}
	}
	for _, notice := range b.Notices[min(len(prev.Notices), len(b.Notices)):] {
		f.pending = fmt.Appendf(f.pending, "%snote: %s\n", f.p.label(b.ID), firstLine(notice))
	}
}

func (f *live) log(from Source, lines []byte) {
	prefix := ""
	if f.p.prefixed(from) {
		prefix = f.style.dim(f.p.prefix(from))
	}
	f.pending = appendLines(f.pending, prefix, lines, f.style.on)
	if len(f.pending) > pendingLimit {
		f.put(nil)
	}
}

func (f *live) ended(b *build.Build) {
	for _, l := range f.block(b, true) {
		f.pending = append(f.pending, l.text(f.style, maxLine)...)
		f.pending = append(f.pending, '\n')
	}
	f.pending = append(f.pending, f.p.summary(b, f.style, f.style.on)...)
	f.put(nil)
}

func (f *live) redraw() {
	_, rows := f.size()
	f.put(f.screen(rows))
}

// turn is where the spinner stands: it follows the clock and not the redraws.
func (f *live) turn() int {
	return int(f.now().UnixMilli() / (2 * RedrawEvery).Milliseconds() % int64(len(spinner)))
}

func (f *live) close() {
	f.put(nil)
	if f.hidden {
		f.p.out.write([]byte(showCursor))
	}
}

// put replaces the block on the screen: what is pending goes above it. It is one
// write, so that no half of it is ever seen.
func (f *live) put(block []line) {
	var out bytes.Buffer
	if f.drawn > 0 {
		fmt.Fprintf(&out, "\x1b[%dA\r\x1b[J", f.drawn)
	}
	out.Write(f.pending)
	if len(block) > 0 && !f.hidden {
		out.WriteString(hideCursor)
		f.hidden = true
	}
	columns, _ := f.size()
	for _, l := range block {
		out.WriteString(l.text(f.style, columns))
		out.WriteByte('\n')
	}
	f.drawn, f.pending = len(block), f.pending[:0]
	f.p.out.write(out.Bytes())
}

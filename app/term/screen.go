package term

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Below this a live display would show nothing of use.
const (
	minColumns = 40
	minRows    = 8

	usualColumns = 80
	usualRows    = 24
)

// IsTerminal reports whether f, one of a command's streams, is a terminal.
func IsTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// Screen gives the size of the terminal that w writes to, for Options.Size; it is
// nil where a live display is not possible: w is no terminal, a dumb one (as the
// variable TERM says), or too small.
func Screen(w io.Writer, termName string) func() (columns, rows int) {
	if !IsTerminal(w) || termName == "" || termName == "dumb" {
		return nil
	}
	file := w.(*os.File)
	size := func() (int, int) {
		columns, rows, err := term.GetSize(int(file.Fd()))
		if err != nil || columns == 0 || rows == 0 { // some terminals do not know their size
			return usualColumns, usualRows
		}
		return columns, rows
	}
	if columns, rows := size(); columns < minColumns || rows < minRows {
		return nil
	}
	return size
}

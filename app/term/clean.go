package term

import "bytes"

// suspect marks the bytes that may begin something a terminal acts upon. Tabs
// and newlines are harmless; 0xC2 begins the C1 controls in UTF-8.
var suspect = func() (t [256]bool) {
	for c := range 0x20 {
		t[c] = true
	}
	t['\t'], t['\n'], t[0x7f], t[0xc2] = false, false, true, true
	return t
}()

// harmless reports whether text can be shown as it is.
func harmless(text []byte) bool {
	for _, c := range text {
		if suspect[c] {
			return false
		}
	}
	return true
}

// appendClean appends a line, which has no newline, without what could move the
// cursor or reprogram a terminal. Of the control sequences only colours stay,
// and those only if colours is set. After a carriage return the line begins
// again, as it would on paper: progress bars leave their last state.
func appendClean(dst, line []byte, colours bool) []byte {
	line = bytes.TrimRight(line, "\r")
	start := len(dst)
	coloured := false
	for i := 0; i < len(line); {
		c := line[i]
		switch {
		case !suspect[c]:
			dst = append(dst, c)
			i++
		case c == '\r':
			dst, coloured = dst[:start], false
			i++
		case c == 0x1b:
			n := Sequence(line[i:])
			if colours && colour(line[i:i+n]) {
				dst = append(dst, line[i:i+n]...)
				coloured = true
			}
			i += n
		case c == 0xc2 && i+1 < len(line) && line[i+1] >= 0xa0 && line[i+1] <= 0xbf:
			dst = append(dst, c, line[i+1]) // an ordinary character, such as ©
			i += 2
		case c == 0xc2 && i+1 < len(line) && line[i+1] >= 0x80 && line[i+1] <= 0x9f:
			i += 2
		case c == 0xc2:
			dst = append(dst, '?') // alone, it could become a control with what comes later
			i++
		default:
			i++
		}
	}
	if coloured {
		dst = append(dst, reset...) // what follows is not the program's
	}
	return dst
}

// Sequence is the length of the escape sequence that s begins with; one that is
// cut off reaches to the end. s begins with ESC.
func Sequence(s []byte) int {
	if len(s) < 2 {
		return len(s)
	}
	switch s[1] {
	case '[':
		for i := 2; i < len(s); i++ {
			switch {
			case s[i] >= 0x40 && s[i] <= 0x7e:
				return i + 1
			case s[i] < 0x20 || s[i] > 0x7e:
				return i // broken off by something else
			}
		}
		return len(s)
	case ']', 'P', 'X', '^', '_':
		return stringSequence(s)
	}
	for i := 1; i < len(s); i++ {
		if s[i] < 0x20 || s[i] > 0x2f {
			return min(i+1, len(s))
		}
	}
	return len(s)
}

// stringSequence is the length of a sequence that carries text, such as a window
// title: it ends with BEL or with ESC \.
func stringSequence(s []byte) int {
	for i := 2; i < len(s); i++ {
		if s[i] == 0x07 {
			return i + 1
		}
		if s[i] == 0x1b {
			if i+1 < len(s) && s[i+1] == '\\' {
				return i + 2
			}
			return i
		}
	}
	return len(s)
}

// colour accepts ESC [ digits m, with ; or : between the digits.
func colour(seq []byte) bool {
	if len(seq) < 3 || seq[1] != '[' || seq[len(seq)-1] != 'm' {
		return false
	}
	for _, c := range seq[2 : len(seq)-1] {
		if (c < '0' || c > '9') && c != ';' && c != ':' {
			return false
		}
	}
	return true
}

// Clean makes a name or reason from a repository safe to print within a line.
func Clean(s string) string {
	if harmless([]byte(s)) && !bytes.ContainsAny([]byte(s), "\n\t") {
		return s
	}
	flat := bytes.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r == '\r' {
			return ' '
		}
		return r
	}, []byte(s))
	return string(appendClean(nil, flat, false))
}

package blueprint

import (
	"reflect"
	"strconv"
	"strings"
)

// A unit is what blueprints and pipelines have in common.
type unit struct {
	name   string
	file   string
	broken bool // could not be read; the finding about it says why
}

func (u *unit) identity() *unit { return u }

// load reads the documents of one file as units of the same kind. A file that
// cannot be read still has its name, so that nothing else looks misspelt.
func load[T any, U interface {
	*T
	identity() *unit
}](l *loader, what string, all map[string]U, file, name string, text []byte) {
	docs, d := l.parse(file, text)
	if !validName(name) {
		l.report.errorf(Position{File: file}, "%q cannot be the name of a %s", name, what).Hint =
			"use letters, digits, dots, dashes and underscores, and no dash first"
		return
	}
	for i := range max(len(docs), 1) {
		u := U(new(T))
		*u.identity() = unit{name: numbered(name, i), file: file}
		if i < len(docs) {
			d.object(docs[i], reflect.ValueOf(u).Elem())
		} else {
			u.identity().broken = true
			l.emptyFile(d, what)
		}
		if other, ok := all[u.identity().name]; ok {
			l.report.errorf(Position{File: file}, "%s %s is also in %s", what, u.identity().name, other.identity().file)
			continue
		}
		all[u.identity().name] = u
	}
}

// emptyFile complains about a file in which nothing was found, unless something
// has been said about it already.
func (l *loader) emptyFile(d *decoder, what string) {
	for _, f := range l.report.list {
		if f.File == d.src.name {
			return
		}
	}
	l.report.errorf(Position{File: d.src.name}, "the file is empty, expected a %s", what)
}

// numbered is the name of the document with the given index in file name.
func numbered(name string, index int) string {
	if index == 0 {
		return name
	}
	return name + "-" + strconv.Itoa(index+1)
}

// maxName bounds names, which become parts of refs, paths and messages.
const maxName = 128

// validName accepts path segments of ASCII letters, digits, dots, dashes and
// underscores that begin with neither a dot nor a dash.
func validName(name string) bool {
	if len(name) > maxName {
		return false
	}
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "" || segment[0] == '-' || segment[0] == '.' {
			return false
		}
		for _, c := range []byte(segment) {
			if !isWordByte(c) && c != '.' && c != '-' {
				return false
			}
		}
	}
	return true
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

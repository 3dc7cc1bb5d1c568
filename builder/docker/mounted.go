package docker

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// A mounted is one mount that this process sees, as the kernel tells of it.
type mounted struct {
	root  string // what of the file system is mounted
	point string // where, without links
	kind  string // of the file system, such as ext4
	upper string // of an overlay: the folder that takes what is written; "" of others
}

// parseMounts reads the form of /proc/self/mountinfo, described in proc(5).
func parseMounts(text string) ([]mounted, error) {
	var all []mounted
	for line := range strings.Lines(text) {
		before, after, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		place, system := strings.Fields(before), strings.Fields(after)
		if !ok || len(place) < 6 || len(system) < 2 {
			return nil, fmt.Errorf("mount %q is not in the form that is known", line)
		}
		m := mounted{root: unescaped(place[3]), point: unescaped(place[4]), kind: system[0]}
		if !filepath.IsAbs(m.point) || filepath.Clean(m.point) != m.point {
			return nil, fmt.Errorf("mount %q has no whole path", line)
		}
		if m.kind == "overlay" && len(system) > 2 {
			m.upper = unescaped(option(system[2], "upperdir"))
		}
		all = append(all, m)
	}
	return all, nil
}

// unescaped puts back what the kernel writes as \040, which is a blank.
func unescaped(s string) string {
	var plain strings.Builder
	for {
		before, after, found := strings.Cut(s, `\`)
		plain.WriteString(before)
		if !found {
			return plain.String()
		}
		if len(after) >= 3 {
			if code, err := strconv.ParseUint(after[:3], 8, 8); err == nil {
				plain.WriteByte(byte(code))
				s = after[3:]
				continue
			}
		}
		plain.WriteByte('\\')
		s = after
	}
}

// option is the value of one of a file system's options, "" if it is not there.
func option(options, name string) string {
	for o := range strings.SplitSeq(options, ",") {
		if value, ok := strings.CutPrefix(o, name+"="); ok {
			return value
		}
	}
	return ""
}

// innermost is the mount on which path lies, which has no links. Of mounts at the
// same place the last one is seen. There is always one, but for a process whose root
// is not told of.
func innermost(all []mounted, path string) (found mounted, ok bool) {
	for _, m := range all {
		if within(m.point, path) && (!ok || len(m.point) >= len(found.point)) {
			found, ok = m, true
		}
	}
	return found, ok
}

// within reports whether path, clean and absolute, is dir or lies below it.
func within(dir, path string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

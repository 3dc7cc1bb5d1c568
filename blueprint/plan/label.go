package plan

// maxLabel bounds the name and the value of a label, in bytes.
const maxLabel = 63

// ValidLabel accepts the names and the values of labels: letters, digits, dots,
// dashes, slashes and underscores, at least one and at most 63.
func ValidLabel(s string) bool {
	for _, c := range s {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '-', c == '/', c == '_':
		default:
			return false
		}
	}
	return s != "" && len(s) <= maxLabel
}

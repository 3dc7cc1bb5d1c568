package mask

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"strings"
)

// A variant is one form in which a secret may be printed.
type variant struct {
	text []byte

	// folds is set for encodings that tools break into lines. Such a variant is
	// recognized with a line break after any of its bytes but the first foldFrom:
	// were a break allowed right at its start, the end of almost every line of a
	// log would have to be held back. It comes with its own tail, so that a break
	// in there leaves at most foldFrom characters of the encoding.
	folds bool
}

// foldFrom is the number of bytes of an encoding that must match before a line
// break is looked past.
const foldFrom = 8

// variants returns the forms of a secret that are masked. Duplicates are
// possible, texts below MinLength are not.
func variants(secret []byte) []variant {
	lf := bytes.ReplaceAll(secret, []byte("\r\n"), []byte("\n"))
	var all collection
	for _, form := range distinct(secret, lf, bytes.ReplaceAll(lf, []byte("\n"), []byte("\r\n"))) {
		all.add(form)
		all.escaped(string(form))
		all.base64(form)
		all.hex(form)
	}
	all.add(bytes.ReplaceAll(lf, []byte("\n"), []byte(" ")))
	for line := range bytes.Lines(lf) {
		all.add(bytes.TrimSpace(line))
	}
	for _, leaf := range leaves(secret) {
		all = append(all, variants(leaf)...)
	}
	return all
}

// distinct drops forms that are equal to one before them.
func distinct(forms ...[]byte) [][]byte {
	var out [][]byte
	for _, form := range forms {
		known := false
		for _, o := range out {
			known = known || bytes.Equal(o, form)
		}
		if !known {
			out = append(out, form)
		}
	}
	return out
}

type collection []variant

func (c *collection) add(text []byte) {
	if len(text) >= MinLength {
		*c = append(*c, variant{text: text})
	}
}

func (c *collection) addFolding(text string) {
	if len(text) < MinLength {
		return
	}
	*c = append(*c, variant{text: []byte(text), folds: true})
	if tail := text[foldFrom:]; len(tail) >= MinLength {
		*c = append(*c, variant{text: []byte(tail), folds: true})
	}
}

// escaped adds what shells, JSON, URLs and HTML make of a text.
func (c *collection) escaped(s string) {
	query := url.QueryEscape(s)
	forms := []string{
		strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(s),
		jsonString(s, true), jsonString(s, false),
		strings.ReplaceAll(s, `'`, `'\''`), strings.ReplaceAll(s, `'`, `'"'"'`),
		html.EscapeString(s), strings.NewReplacer("&#34;", "&quot;", "&#39;", "&#x27;").Replace(html.EscapeString(s)),
	}
	for _, escaped := range []string{query, strings.ReplaceAll(query, "+", "%20"), url.PathEscape(s)} {
		forms = append(forms, escaped, lowerPercent(escaped))
	}
	for _, form := range forms {
		if form != s {
			c.add([]byte(form))
		}
	}
}

// lowerPercent turns %2F into %2f.
func lowerPercent(escaped string) string {
	b := []byte(escaped)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:], bytes.ToLower(b[i+1:i+3]))
		}
	}
	return string(b)
}

// jsonString is s as it stands between the quotes of a JSON string.
func jsonString(s string, escapeHTML bool) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(escapeHTML)
	if err := enc.Encode(s); err != nil {
		return s // a string always encodes
	}
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(b.String(), "\n"), `"`), `"`)
}

// base64 adds the encodings of whatever contains the secret. Where it begins
// within a group of three bytes decides on the characters; those which also hold
// bits of its neighbours are left out.
func (c *collection) base64(secret []byte) {
	for before := range 3 {
		padded := append(make([]byte, before), secret...)
		first := (before*8 + 5) / 6
		last := len(padded) * 8 / 6
		std := base64.RawStdEncoding.EncodeToString(padded)[first:last]
		c.addFolding(std)
		if web := strings.NewReplacer("+", "-", "/", "_").Replace(std); web != std {
			c.addFolding(web)
		}
	}
}

func (c *collection) hex(secret []byte) {
	lower := hex.EncodeToString(secret)
	c.addFolding(lower)
	c.addFolding(strings.ToUpper(lower))
}

// leaves returns the strings and numbers of a secret that is a JSON document:
// programs read such a secret and print its parts.
func leaves(secret []byte) [][]byte {
	dec := json.NewDecoder(bytes.NewReader(secret))
	dec.UseNumber()
	var doc any
	if !json.Valid(secret) || dec.Decode(&doc) != nil {
		return nil
	}
	var found [][]byte
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, child := range v {
				walk(child)
			}
		case []any:
			for _, child := range v {
				walk(child)
			}
		case string:
			found = append(found, bytes.TrimSpace([]byte(v)))
		case json.Number:
			found = append(found, []byte(v))
		}
	}
	walk(doc)
	return longerLeaves(found, secret)
}

// longerLeaves keeps the leaves that can be masked and are not the document
// itself, so that a document which is one number is not taken apart for ever.
func longerLeaves(found [][]byte, doc []byte) [][]byte {
	var kept [][]byte
	for _, leaf := range found {
		if len(leaf) >= MinLength && len(leaf) < len(doc) {
			kept = append(kept, leaf)
		}
	}
	return kept
}

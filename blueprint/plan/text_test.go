package plan

import (
	"testing"

	"pgregory.net/rapid"
)

func values(m map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

func TestTextExpand(t *testing.T) {
	known := values(map[string]string{"a": "1", "git.branch": "x${a}$", "e": ""})
	for in, want := range map[Text]string{
		"":                  "",
		"plain $a $$ $":     "plain $a $$ $",
		"${a}":              "1",
		"$${a}":             "${a}",
		"$$${a}":            "$1",
		"$$$${a}":           "$${a}",
		"${git.branch}${a}": "x${a}$1",
		"{${a}}":            "{1}",
		"${e}{":             "{",
	} {
		got, err := in.Expand(known)
		if err != nil || got != want {
			t.Errorf("Text(%q).Expand() = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []Text{"${", "${a", "${}", "${a b}", "${1}", "${A:-b}", "${unknown}"} {
		if got, err := in.Expand(known); err == nil {
			t.Errorf("Text(%q).Expand() = %q; want an error", in, got)
		}
	}
}

// Whatever the values hold, resolving some names first and the rest later gives
// the same as expanding all at once: a value is never read as text.
func TestTextResolveThenExpandIsExpand(t *testing.T) {
	piece := rapid.SampledFrom([]string{"$", "{", "}", "a", "b", "${a}", "${b}", "$${", "\n", "é"})
	word := rapid.Custom(func(t *rapid.T) string {
		s := ""
		for _, p := range rapid.SliceOfN(piece, 0, 8).Draw(t, "pieces") {
			s += p
		}
		return s
	})
	written := word.Filter(func(s string) bool {
		_, err := Text(s).Expand(values(map[string]string{"a": "", "b": ""}))
		return err == nil
	})
	rapid.Check(t, func(t *rapid.T) {
		text := Text(written.Draw(t, "text"))
		all := map[string]string{"a": word.Draw(t, "a"), "b": word.Draw(t, "b")}
		want, err := text.Expand(values(all))
		if err != nil {
			t.Fatalf("Text(%q).Expand: %v", text, err)
		}
		part, err := text.Resolve(values(map[string]string{"a": all["a"]}))
		if err != nil {
			t.Fatalf("Text(%q).Resolve: %v", text, err)
		}
		got, err := part.Expand(values(map[string]string{"b": all["b"]}))
		if err != nil || got != want {
			t.Fatalf("Text(%q) resolved to %q expands to %q, %v; want %q", text, part, got, err, want)
		}
		if back, err := Literal(want).Expand(values(nil)); err != nil || back != want {
			t.Fatalf("Literal(%q) expands to %q, %v", want, back, err)
		}
	})
}

func FuzzTextParts(f *testing.F) {
	for _, s := range []string{"${a}", "$$${a}${b}", "x$${", "${", "$$$$"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parts, err := Text(s).Parts()
		if err != nil {
			return
		}
		if again, err := Join(parts).Parts(); err != nil || len(again) != len(parts) {
			t.Fatalf("Join(Parts(%q)) = %q: %v, %v", s, Join(parts), again, err)
		}
		if Join(parts) != Text(s) {
			t.Fatalf("Join(Parts(%q)) = %q", s, Join(parts))
		}
	})
}

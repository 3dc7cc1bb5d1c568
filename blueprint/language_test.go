package blueprint

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"testing"
)

// The examples of docs/language.md have every key of the language.
func TestEveryKeyHasAnExample(t *testing.T) {
	page, err := os.ReadFile("../docs/language.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := files{}
	for _, m := range regexp.MustCompile("(?s)```yaml\n# (\\S+)\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		examples[m[1]] = m[2]
	}
	c, findings := mustLoad(t, examples)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	keys := map[string]bool{}
	see := func(v any) { seeKeys(reflect.ValueOf(v), keys) }
	see(c.root)
	for _, b := range c.blueprints {
		see(*b)
	}
	for _, p := range c.pipelines {
		see(*p)
	}
	if len(keys) < 80 {
		t.Fatalf("only %d keys are known: %v", len(keys), keys)
	}
	var without []string
	for key, seen := range keys {
		if !seen {
			without = append(without, key)
		}
	}
	slices.Sort(without)
	for _, key := range without {
		t.Errorf("docs/language.md has no example of %s", key)
	}
}

// seeKeys notes the keys of a struct, and whether each has a value.
func seeKeys(v reflect.Value, keys map[string]bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() && v.Elem().Type().PkgPath() == reflect.TypeFor[blueprint]().PkgPath() {
			seeKeys(v.Elem(), keys)
		}
	case reflect.Slice:
		for i := range v.Len() {
			seeKeys(v.Index(i), keys)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			switch name := f.Tag.Get("yaml"); {
			case name != "":
				key := v.Type().Name() + "." + name
				keys[key] = keys[key] || !v.Field(i).IsZero()
				seeKeys(v.Field(i), keys)
			case f.Anonymous || v.Type() == reflect.TypeFor[step]() || v.Type() == reflect.TypeFor[parameter]():
				if f.Name != "common" || f.Anonymous {
					seeKeys(v.Field(i), keys)
				}
			}
		}
	}
}

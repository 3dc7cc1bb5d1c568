package storage

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// The page that promises the format names every field there is.
func TestFormatPageNamesEveryField(t *testing.T) {
	page, err := os.ReadFile("../docs/format.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for section := range strings.SplitSeq(string(page), "\n### ") {
		name, text, _ := strings.Cut(section, "\n")
		sections[name] = text
	}
	for name, record := range map[string]any{
		buildFile: buildRecord{}, eventsFile: moveRecord{}, "Triggers": triggerRecord{}, tipsFile: tipsRecord{},
		purgedFile: purgedRecord{}, schedulesFile: schedulesRecord{}, "Reports": reportRecord{},
	} {
		text, ok := sections[name]
		if !ok {
			t.Errorf("docs/format.md has no section %s", name)
		}
		if name == eventsFile { // steps and logs are told of with the build
			text += sections[buildFile] + sections["Triggers"]
		}
		if name == buildFile {
			text += sections["Triggers"]
		}
		for _, field := range fields(reflect.TypeOf(record)) {
			if !strings.Contains(text, "`"+field+"`") {
				t.Errorf("docs/format.md, %s, does not name `%s`", name, field)
			}
		}
	}
}

// fields lists the JSON names within a type of ours.
func fields(t reflect.Type) []string {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return fields(t.Elem())
	case reflect.Struct:
	default:
		return nil
	}
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			names = append(names, name)
		}
		if f.IsExported() || f.Anonymous {
			names = append(names, fields(f.Type)...)
		}
	}
	return names
}

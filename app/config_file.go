package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/velocity-ci/velocity/blueprint"
)

// maxConfig bounds a configuration file, in bytes.
const maxConfig = 1 << 20

// readConfig reads a file into a configuration. It is strict: every key must be
// known and every value be of its kind, and all that is not is told.
func readConfig(path string, into *serverConfig) error {
	file, err := os.Open(path)
	if err != nil {
		return usage("read configuration: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxConfig+1))
	if err != nil {
		return usage("read configuration: %w", err)
	}
	if len(text) > maxConfig {
		return usage("%s has more than %d bytes", path, maxConfig)
	}
	if err := parseConfig(path, text, into); err != nil {
		return usage("%w", err)
	}
	return nil
}

func parseConfig(path string, text []byte, into *serverConfig) error {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil // empty: all is as nobody set it
	}
	if err == nil {
		if err = dec.Decode(&more); errors.Is(err, io.EOF) {
			err = nil
		} else if err == nil {
			err = errors.New("there is a second document")
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	r := &configReader{path: path}
	r.mapping(doc.Content[0], reflect.ValueOf(into).Elem())
	return errors.Join(r.found...)
}

// A configReader collects what is wrong with a file.
type configReader struct {
	path  string
	found []error
}

func (r *configReader) errorf(n *yaml.Node, format string, args ...any) {
	r.found = append(r.found, fmt.Errorf("%s:%d:%d: %s", r.path, n.Line, n.Column, fmt.Sprintf(format, args...)))
}

// mapping reads the keys of a struct.
func (r *configReader) mapping(n *yaml.Node, into reflect.Value) {
	if n.Kind != yaml.MappingNode {
		r.errorf(n, "expected keys and values")
		return
	}
	fields, names := map[string]int{}, []string{}
	for i := range into.NumField() {
		name := into.Type().Field(i).Tag.Get("yaml")
		fields[name] = i
		names = append(names, name)
	}
	seen := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at, known := fields[key.Value]
		switch {
		case !known:
			hint := ""
			if near := blueprint.Nearest(key.Value, names); near != "" {
				hint = fmt.Sprintf("; did you mean %q?", near)
			}
			r.errorf(key, "unknown key %q%s", key.Value, hint)
		case seen[key.Value]:
			r.errorf(key, "%s is there twice", key.Value)
		default:
			seen[key.Value] = true
			r.value(value, into.Field(at), into.Type().Field(at))
		}
	}
}

func (r *configReader) value(n *yaml.Node, into reflect.Value, field reflect.StructField) {
	switch into.Kind() {
	case reflect.Struct:
		r.mapping(n, into)
	case reflect.Slice:
		r.sequence(n, into)
	case reflect.Map:
		r.labels(n, into)
	default:
		r.scalar(n, into, field.Tag.Get("file") != "")
	}
}

// scalar reads one text; a path counts from the file's folder.
func (r *configReader) scalar(n *yaml.Node, into reflect.Value, path bool) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		r.errorf(n, "expected one value")
		return
	}
	text := n.Value
	if path && text != "" && !filepath.IsAbs(text) && !strings.HasPrefix(text, fromVariable) {
		text = filepath.Join(filepath.Dir(r.path), text)
	}
	if err := setText(into, text); err != nil {
		r.errorf(n, "%v", err)
	}
}

// sequence reads a list of texts, or of structs: one that is a text only is its
// first field.
func (r *configReader) sequence(n *yaml.Node, into reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		r.errorf(n, "expected a list")
		return
	}
	own, checks := into.Addr().Interface().(textValue)
	for _, item := range n.Content {
		one := reflect.New(into.Type().Elem()).Elem()
		switch {
		case one.Kind() != reflect.Struct && checks && item.Kind == yaml.ScalarNode:
			if err := own.Set(item.Value); err != nil {
				r.errorf(item, "%v", err)
			}
			continue
		case one.Kind() != reflect.Struct:
			r.scalar(item, one, false)
		case item.Kind == yaml.ScalarNode:
			r.scalar(item, one.Field(0), one.Type().Field(0).Tag.Get("file") != "")
		default:
			r.mapping(item, one)
		}
		into.Set(reflect.Append(into, one))
	}
}

// labels reads names with texts.
func (r *configReader) labels(n *yaml.Node, into reflect.Value) {
	if n.Kind != yaml.MappingNode {
		r.errorf(n, "expected names and values")
		return
	}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if value.Kind != yaml.ScalarNode {
			r.errorf(value, "expected one value")
			continue
		}
		if err := setText(into, key.Value+"="+value.Value); err != nil {
			r.errorf(key, "%v", err)
		}
	}
}

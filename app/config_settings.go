package app

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"
)

// A setting is one key of the configuration, which is also a flag and a variable.
type setting struct {
	key  string // as in the file: tls.certificate
	flag string // tls-certificate, unless its tag says another
	env  string // VELOCITY_TLS_CERTIFICATE
	help string
	def  string // the value that nobody set

	value reflect.Value // the field
}

// settings lists the keys of a configuration, in the order of its fields.
func settings(c *serverConfig) []setting {
	return settingsOf(reflect.ValueOf(c).Elem(), "", "")
}

// unset are the settings of a configuration that nobody has filled in, and nobody may:
// flags, which every start of the program makes for several commands, ask it for no
// more than names and types.
var unset = sync.OnceValue(func() []setting { return settings(&serverConfig{}) })

func settingsOf(v reflect.Value, prefix, about string) []setting {
	var all []setting
	for i := range v.NumField() {
		field := v.Type().Field(i)
		key := prefix + field.Tag.Get("yaml")
		if field.Type.Kind() == reflect.Struct {
			all = append(all, settingsOf(v.Field(i), key+".", field.Tag.Get("help"))...)
			continue
		}
		s := setting{
			key: key, flag: field.Tag.Get("flag"), help: strings.ReplaceAll(field.Tag.Get("help"), "{}", about), def: field.Tag.Get("default"),
			env: "VELOCITY_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_")), value: v.Field(i),
		}
		if s.flag == "" {
			s.flag = strings.ReplaceAll(key, ".", "-")
		}
		all = append(all, s)
	}
	return all
}

// A textValue is a field that reads its own text, as a flag does.
type textValue interface {
	Set(string) error
	Type() string
}

// setText sets a field from a text. Lists grow by it.
func setText(v reflect.Value, text string) (err error) {
	if own, ok := v.Addr().Interface().(textValue); ok {
		return own.Set(text)
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		v.SetBool(text == "true")
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return fmt.Errorf("%q is no number", text)
		}
		v.SetInt(int64(n))
	default:
		return fmt.Errorf("a setting of kind %s cannot be written as text", v.Kind())
	}
	return nil
}

// setTexts gives a field the values of one source, instead of those of weaker
// ones.
func (s setting) setTexts(texts []string) error {
	s.value.SetZero()
	for _, text := range texts {
		if err := setText(s.value, text); err != nil {
			return err
		}
	}
	return nil
}

// list reports whether the field takes several values.
func (s setting) list() bool {
	return s.value.Kind() == reflect.Slice || s.value.Kind() == reflect.Map
}

// split is the values in a variable.
func (s setting) split(text string) []string {
	if own, ok := s.value.Addr().Interface().(interface{ split(string) []string }); ok {
		return own.split(text)
	}
	switch s.value.Kind() {
	case reflect.Slice:
		return filepath.SplitList(text)
	case reflect.Map:
		return strings.Split(text, ",")
	}
	return []string{text}
}

// A flagText keeps what flags say until it is their turn: they are the strongest.
type flagText struct {
	of    setting
	given []string
}

// Set implements pflag.Value. What cannot be is told at once.
func (f *flagText) Set(text string) error {
	if !f.of.list() {
		f.given = nil
	}
	f.given = append(f.given, text)
	return setText(reflect.New(f.of.value.Type()).Elem(), text)
}

// String implements pflag.Value.
func (f *flagText) String() string {
	if f.given == nil {
		return f.of.def
	}
	return strings.Join(f.given, ",")
}

// Type implements pflag.Value.
func (f *flagText) Type() string {
	if own, ok := f.of.value.Addr().Interface().(textValue); ok {
		return own.Type()
	}
	return f.of.value.Kind().String()
}

// A configSource is where a command's configuration comes from.
type configSource struct {
	file  *string
	flags []*flagText
}

// configFlags adds --config and a flag for every key.
func configFlags(cmd *cobra.Command) *configSource {
	s := &configSource{file: cmd.Flags().String("config", "", "`file` of the configuration; each key is also a flag, and a variable VELOCITY_KEY")}
	for _, one := range unset() {
		f := &flagText{of: one}
		flag := cmd.Flags().VarPF(f, one.flag, "", one.help)
		if f.Type() == "bool" {
			flag.NoOptDefVal = "true"
		}
		s.flags = append(s.flags, f)
	}
	return s
}

// config puts all sources together.
func (c *cli) config(from *configSource) (*serverConfig, error) {
	s := &serverConfig{}
	if err := c.gather(from, s); err != nil {
		return nil, err
	}
	return s, s.check()
}

// gather fills a configuration: flags count more than variables, variables more
// than the file, the file more than defaults.
func (c *cli) gather(from *configSource, into *serverConfig) error {
	all := settings(into)
	for _, one := range all {
		if one.def == "" {
			continue
		}
		if err := setText(one.value, one.def); err != nil {
			return fmt.Errorf("default of %s: %w", one.key, err)
		}
	}
	if *from.file != "" {
		if err := readConfig(*from.file, into); err != nil {
			return err
		}
	}
	for i, one := range all {
		if text := c.env[one.env]; text != "" {
			if err := one.setTexts(one.split(text)); err != nil {
				return usage("%s: %w", one.env, err)
			}
		}
		if given := from.flags[i].given; given != nil {
			if err := one.setTexts(given); err != nil {
				return usage("--%s: %w", one.flag, err)
			}
		}
	}
	return nil
}

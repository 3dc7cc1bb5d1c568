package app

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/architect"
)

// samples are two values for a setting, by its kind, as texts.
func samples(s setting) [2]string {
	switch s.value.Interface().(type) {
	case repositories:
		return [2]string{"/one", "/two"}
	case intervalValue, graceValue:
		return [2]string{"1m0s", "1h0m0s"}
	case adminList:
		return [2]string{"github/ann", "gitlab/7"}
	case decision:
		return [2]string{"true", "false"}
	case pluginKinds:
		return [2]string{"slack", "webhook"}
	case hostList:
		return [2]string{"chat.example.com", "10.0.0.7:8065"}
	case sitePlugins:
		return [2]string{"exec=/some/one", "webhook=https://chat.example.com/"}
	case labels:
		return [2]string{"pool=one", "pool=two"}
	case ageValue:
		return [2]string{"24h0m0s", "48h0m0s"}
	case sizeValue, countValue, int:
		return [2]string{"11", "22"}
	case bool:
		return [2]string{"true", "false"}
	}
	return [2]string{"/some/one", "/some/two"}
}

// shownText is a setting's value as a text.
func shownText(s setting) string {
	if own, ok := s.value.Addr().Interface().(fmt.Stringer); ok {
		return own.String()
	}
	return fmt.Sprint(s.value.Interface())
}

// fileText is a configuration file that sets one key.
func fileText(key, value string) string {
	var b strings.Builder
	parts := strings.Split(key, ".")
	for i, part := range parts {
		fmt.Fprintf(&b, "%s%s:", strings.Repeat("  ", i), part)
		if i < len(parts)-1 {
			b.WriteString("\n")
		}
	}
	switch key {
	case "repositories", "github.repositories", "gitlab.repositories", "bots", "admins", "plugins.allow", "plugins.hosts":
		value = "[" + value + "]"
	case "plugins.run":
		use, address, _ := strings.Cut(value, "=")
		argument := map[string]string{"exec": "command", "webhook": "url"}[use]
		value = fmt.Sprintf("[{use: %s, arguments: {%s: %q}}]", use, argument, address)
	case "builder.labels":
		value = "{" + strings.ReplaceAll(value, "=", ": ") + "}"
	}
	return b.String() + " " + value + "\n"
}

// load puts one setting together from a file, a variable and a flag, each "" for
// none.
func load(t *testing.T, key, file, variable, flag string) (setting, error) {
	t.Helper()
	cmd := &cobra.Command{}
	from := configFlags(cmd)
	of := func(all []setting) setting {
		for _, s := range all {
			if s.key == key {
				return s
			}
		}
		t.Fatal("no setting", key)
		return setting{}
	}
	one := of(settings(&serverConfig{}))
	c := &cli{env: map[string]string{one.env: variable}}
	if file != "" {
		*from.file = filepath.Join(t.TempDir(), "velocity-server.yml")
		if err := os.WriteFile(*from.file, []byte(fileText(key, file)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if flag != "" {
		if err := cmd.ParseFlags([]string{"--" + one.flag + "=" + flag}); err != nil {
			t.Fatal(err)
		}
	}
	s := &serverConfig{}
	err := c.gather(from, s)
	return of(settings(s)), err
}

// For every key: a flag counts more than a variable, a variable more than the
// file, the file more than the default.
func TestConfigPrecedence(t *testing.T) {
	for _, s := range settings(&serverConfig{}) {
		weak, strong := samples(s)[0], samples(s)[1]
		for _, tt := range []struct{ file, variable, flag, want string }{
			{"", "", "", s.def},
			{weak, "", "", weak},
			{weak, strong, "", strong},
			{"", weak, strong, strong},
			{strong, "", weak, weak},
			{strong, strong, weak, weak},
		} {
			got, err := load(t, s.key, tt.file, tt.variable, tt.flag)
			asWanted := shownText(got) == tt.want || tt.want == "" && got.value.IsZero()
			if err != nil || !asWanted {
				t.Errorf("%s of %+v is %q, %v; want %q", s.key, tt, shownText(got), err, tt.want)
			}
		}
	}
}

func TestConfigDefaults(t *testing.T) {
	for _, s := range settings(&serverConfig{}) {
		if s.key == "attempts" && s.def != fmt.Sprint(architect.DefaultAttempts) {
			t.Errorf("attempts are %s by default, the architect's %d", s.def, architect.DefaultAttempts)
		}
		if s.help == "" || strings.Contains(s.flag, ".") || !strings.HasPrefix(s.env, "VELOCITY_") {
			t.Errorf("%+v", s)
		}
	}
}

// A path in a file counts from the file's folder.
func TestConfigPaths(t *testing.T) {
	path := filepath.Join(t.TempDir(), "velocity-server.yml")
	var s serverConfig
	text := "state: state\ntls: {certificate: c.pem, key: /k.pem}\nrepositories: [a.git, {path: b.git, name: b}]\n"
	if err := parseConfig(path, []byte(text), &s); err != nil {
		t.Fatal(err)
	}
	got := []string{s.State, s.TLS.Certificate, s.TLS.Key, s.Repositories[0].Path, s.Repositories[1].Path, s.at(s.Repositories[1].Path).Name}
	dir := filepath.Dir(path)
	want := []string{dir + "/state", dir + "/c.pem", "/k.pem", dir + "/a.git", dir + "/b.git", "b"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("paths are %q; want %q", got, want)
	}
}

// docs/server.md has one row for each key, as it is.
func TestConfigIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/server.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| `") && strings.Contains(line, "`VELOCITY_") {
			rows = append(rows, strings.TrimSpace(line))
		}
	}
	var want []string
	for _, s := range settings(&serverConfig{}) {
		def := s.def
		if def != "" {
			def = "`" + def + "`"
		}
		want = append(want, fmt.Sprintf("| `%s` | `--%s` | `%s` | %s | %s |", s.key, s.flag, s.env, def, s.help))
	}
	if got, want := strings.Join(rows, "\n"), strings.Join(want, "\n"); got != want {
		t.Errorf("docs/server.md has the rows\n%s\n\nwant\n%s", got, want)
	}
}

// A client that sends its headers too slowly is cut off: each would hold a
// connection for as long as it likes.
func TestServerLimitsHeaders(t *testing.T) {
	s := apiServer(t.Context(), nil, silent())
	if s.ReadHeaderTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 {
		t.Fatalf("a server without bounds: %+v", s)
	}
	s.ReadHeaderTimeout /= 1000 // as many times faster than a person would wait
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(l) }() // ends with Close
	defer s.Close()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nX-Slow: ")); err != nil {
		t.Fatal(err)
	}
	// It returns once the server has hung up, maybe before that has read anything.
	if _, err := io.ReadAll(conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
}

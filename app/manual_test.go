package app

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/velocity-ci/velocity/builder/require"
)

// rendered is what groff, which man uses, makes of pages, without any blanks. It must
// have nothing to warn of.
func rendered(t *testing.T, pages []byte) string {
	t.Helper()
	_, err := exec.LookPath("groff")
	require.Have(t, "groff", err)
	cmd := exec.CommandContext(t.Context(), "groff", "-man", "-Tutf8", "-P-cbu", "-ww")
	var text, warnings bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(pages), &text, &warnings
	if err := cmd.Run(); err != nil || warnings.Len() > 0 {
		t.Errorf("groff: %v\n%s", err, &warnings)
	}
	return squeezed(text.String())
}

func squeezed(text string) string { return strings.Join(strings.Fields(text), "") }

// What velocity help says of a command and its flags is in the manual, word by word.
func TestManualSaysWhatHelpSays(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "man1")
	var out, complaints bytes.Buffer
	if status := Main(t.Context(), []string{"manual", folder}, Streams{Out: &out, Err: &complaints}, nil); status != 0 {
		t.Fatalf("velocity manual ended with %d: %s", status, &complaints)
	}
	if want := "man -l " + filepath.Join(folder, "velocity.1") + "\n"; out.String() != want {
		t.Errorf("velocity manual prints %q; want %q", &out, want)
	}
	pages, err := filepath.Glob(filepath.Join(folder, "*.1"))
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	text := rendered(t, all)
	commands := documentedCommands((&cli{}).root(nil))
	if len(pages) < len(commands) {
		t.Errorf("%d pages of %d commands", len(pages), len(commands))
	}
	says := func(of *cobra.Command, what string) {
		if !strings.Contains(text, squeezed(what)) {
			t.Errorf("the page %s does not say %q", pageName(of), what)
		}
	}
	for _, cmd := range commands {
		says(cmd, pageName(cmd)+" - "+cmd.Short)
		says(cmd, cmd.UseLine())
		for paragraph := range strings.SplitSeq(description(cmd), "\n\n") {
			says(cmd, paragraph)
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			takes, usage := pflag.UnquoteUsage(f)
			says(cmd, "--"+f.Name+" "+takes+usage+usualValue(f))
		})
	}
}

// No text is taken for a request to groff, or shown as something else.
func TestManualOfAnyText(t *testing.T) {
	lines := []string{".so /etc/passwd", "'so /etc/passwd", `\fBback\slash \*(xx`, "`quoted' \"twice\"", "a - b -- c", "~ada^1", "…é"}
	long := "What it does.\n\n" + strings.Join(lines, "\n") + "\n\n  " + strings.Join(lines, "\n  ")
	cmd := &cobra.Command{Use: "odd", Short: ".sh 'odd'", Long: long, RunE: func(*cobra.Command, []string) error { return nil }}
	cmd.Flags().String("from", `"x" \y`, "take it from `.there` 'now'")
	var page bytes.Buffer
	edition{version: `1" 2`, date: "2026-11-22"}.write(&page, cmd)
	text := rendered(t, page.Bytes())
	for _, want := range append(lines, ".sh 'odd'", "--from .there", "take it from .there 'now'", `(default "x" \y)`, `velocity 1" 2`, "2026-11-22") {
		if !strings.Contains(text, squeezed(want)) {
			t.Errorf("the page does not say %q:\n%s", want, text)
		}
	}
	if got, want := strings.Count(text, squeezed(lines[0])), 2; got != want {
		t.Errorf("%q is there %d times; want %d", lines[0], got, want)
	}
}

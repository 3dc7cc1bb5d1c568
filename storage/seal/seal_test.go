package seal_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/storage/git"
	"github.com/velocity-ci/velocity/storage/seal"
)

const canary = "canary-9fQz-hunter2"

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// fixed is a key that a vault is opened with, whichever it is sealed with.
type fixed struct{ key seal.Key }

func (f fixed) Find(string, string) (seal.Key, error) { return f.key, nil }
func (fixed) Offer(string, seal.Key) error            { return errors.ErrUnsupported }
func (fixed) Offered(string) (string, error)          { return "", errors.ErrUnsupported }
func (fixed) Settle(string, string) error             { return errors.ErrUnsupported }

func newVault(t *testing.T, key seal.Key) (*seal.Vault, *git.Repository) {
	t.Helper()
	return newVaultWith(t, fixed{key})
}

func newVaultWith(t *testing.T, keys seal.Keys) (*seal.Vault, *git.Repository) {
	t.Helper()
	repo, err := git.MakeBare(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return seal.Open(repo, keys, func() time.Time { return noon }), repo
}

func give(t *testing.T, v *seal.Vault, entries ...seal.Entry) ([]string, error) {
	t.Helper()
	values, err := v.Give(t.Context(), entries, seal.Use{At: noon, Attempt: "k3f9a2-1/s0t0/1", Builder: "b1"})
	var texts []string
	for _, s := range values {
		texts = append(texts, s.Reveal())
	}
	return texts, err
}

func TestPutGiveRemove(t *testing.T) {
	v, _ := newVault(t, seal.NewKey())
	ctx := t.Context()
	for _, e := range []seal.Entry{
		{Name: "key", By: "ann", Refs: []string{"main"}},
		{Name: "key", Repository: "shop", By: "bob", Events: []string{"push"}, Blueprints: []string{"deploy"}, AnyImage: true},
	} {
		if _, err := v.Put(ctx, e, seal.NewSecret([]byte(canary+e.Repository))); err != nil {
			t.Fatal(err)
		}
	}
	shop, err := v.Find("shop", "key")
	if err != nil {
		t.Fatal(err)
	}
	site, err := v.Find("bank", "key")
	if err != nil {
		t.Fatal(err)
	}
	got, err := give(t, v, shop, site)
	if want := []string{canary + "shop", canary}; err != nil || !cmp.Equal(want, got) {
		t.Errorf("Give = %q, %v; want %q", got, err, want)
	}
	all, err := v.List()
	used := seal.Use{At: noon, Attempt: "k3f9a2-1/s0t0/1", Builder: "b1"}
	want := []seal.Entry{
		{Name: "key", Refs: []string{"main"}, Number: 1, Set: noon, By: "ann", Used: used},
		{Name: "key", Repository: "shop", Events: []string{"push"}, Blueprints: []string{"deploy"}, AnyImage: true, Number: 1, Set: noon, By: "bob", Used: used},
	}
	if diff := cmp.Diff(want, all); diff != "" || err != nil {
		t.Errorf("List (-want +got), %v:\n%s", err, diff)
	}

	// Set again, what was found before is not given any more; removed, nothing is.
	if _, err := v.Put(ctx, seal.Entry{Name: "key", Repository: "shop"}, seal.NewSecret([]byte("another value"))); err != nil {
		t.Fatal(err)
	}
	if got, err := give(t, v, shop); err == nil {
		t.Errorf("Give of an earlier value = %q", got)
	}
	if shop, err = v.Find("shop", "key"); err != nil || shop.Number != 2 || shop.Used != (seal.Use{}) ||
		!cmp.Equal(shop.Events, []string{"push"}) || !cmp.Equal(shop.Blueprints, []string{"deploy"}) || !shop.AnyImage {
		t.Errorf("Find = %+v, %v; want value 2, never used, bound as before", shop, err)
	}
	if e, err := v.Put(ctx, seal.Entry{Name: "key", AnyImage: true}, seal.NewSecret([]byte("another value"))); err != nil || !e.AnyImage || e.Refs != nil {
		t.Errorf("Put with any image = %+v, %v; want it bound anew", e, err)
	}
	if err := v.Remove(ctx, "shop", "key", "ann"); err != nil {
		t.Fatal(err)
	}
	if got, err := give(t, v, shop); !errors.Is(err, seal.ErrNone) {
		t.Errorf("Give of a removed one = %q, %v; want ErrNone", got, err)
	}
	if err := v.Remove(ctx, "shop", "key", "ann"); !errors.Is(err, seal.ErrNone) {
		t.Errorf("Remove again = %v; want ErrNone", err)
	}
}

func TestRefuses(t *testing.T) {
	v, _ := newVault(t, seal.NewKey())
	long := strings.Repeat("x", seal.MaxValue)
	for _, c := range []struct {
		e     seal.Entry
		value string
		field string // "" if it is taken
	}{
		{seal.Entry{Name: "key"}, "1234567", "value"},
		{seal.Entry{Name: "key"}, " 123456 ", "value"},
		{seal.Entry{Name: "key"}, long + "x", "value"},
		{seal.Entry{Name: "key"}, "12345\x0067", "value"},
		{seal.Entry{Name: "key"}, "12345\xff67", "value"},
		{seal.Entry{Name: "-key"}, "12345678", "name"},
		{seal.Entry{Name: "../key"}, "12345678", "name"},
		{seal.Entry{Name: ""}, "12345678", "name"},
		{seal.Entry{Name: strings.Repeat("k", 129)}, "12345678", "name"},
		{seal.Entry{Name: strings.Repeat("k", 128)}, "12345678", ""},
		{seal.Entry{Name: "key", Refs: []string{""}}, "12345678", "refs"},
		{seal.Entry{Name: "key", Repository: "a\nb"}, "12345678", "repository"},
		{seal.Entry{Name: "key"}, "12345678", ""},
		{seal.Entry{Name: "a.b-c_d"}, long, ""},
	} {
		_, err := v.Put(t.Context(), c.e, seal.NewSecret([]byte(c.value)))
		var field *seal.FieldError
		if errors.As(err, &field); err == nil != (c.field == "") || field != nil && field.Field != c.field {
			t.Errorf("Put(%+v, %d bytes) = %v; want a complaint about %q", c.e, len(c.value), err, c.field)
		}
		if err != nil && c.value != "" && strings.Contains(err.Error(), c.value) {
			t.Errorf("the error tells the value: %v", err)
		}
	}
}

// What is stored tells no value, and what was moved or bound to more does not open.
func TestSealed(t *testing.T) {
	key := seal.NewKey()
	v, repo := newVault(t, key)
	e, err := v.Put(t.Context(), seal.Entry{Name: "key", Refs: []string{"main"}}, seal.NewSecret([]byte(canary)))
	if err != nil {
		t.Fatal(err)
	}
	out := gitOutput(t, repo, "cat-file", "--batch-all-objects", "--batch", "--buffer")
	if out == "" || strings.Contains(out, canary) || strings.Contains(out, key.Text()) {
		t.Errorf("the repository has the value or the key:\n%s", out)
	}
	for name, change := range map[string]func(string) string{
		"name": func(s string) string { return strings.Replace(s, `"name": "key"`, `"name": "yek"`, 1) },
		"repository": func(s string) string {
			return strings.Replace(s, `"name": "key"`, `"name": "key", "repository": "shop"`, 1)
		},
		"refs":   func(s string) string { return strings.Replace(s, `"main"`, `"**"`, 1) },
		"events": func(s string) string { return strings.Replace(s, `"number"`, `"events": ["manual"], "number"`, 1) },
		"images": func(s string) string { return strings.Replace(s, `"number"`, `"anyImage": true, "number"`, 1) },
		"number": func(s string) string { return strings.Replace(s, `"number": 1`, `"number": 2`, 1) },
	} {
		changed := e
		restore := rewrite(t, repo, change, &changed)
		if got, err := give(t, v, changed); err == nil {
			t.Errorf("with another %s, Give = %q", name, got)
		}
		restore()
	}
	if got, err := give(t, v, e); err != nil || got[0] != canary {
		t.Errorf("unchanged again, Give = %q, %v", got, err)
	}
	// Another store, and another key.
	other, second := newVault(t, key)
	if _, err := other.Put(t.Context(), seal.Entry{Name: "own"}, seal.NewSecret([]byte("another value"))); err != nil {
		t.Fatal(err)
	}
	moveRecord(t, repo, second)
	if got, err := give(t, other, e); err == nil {
		t.Errorf("in another store, Give = %q", got)
	}
	stranger := seal.Open(repo, fixed{seal.NewKey()}, func() time.Time { return noon })
	if got, err := give(t, stranger, e); err == nil {
		t.Errorf("with another key, Give = %q", got)
	}
}

func TestKeyText(t *testing.T) {
	key := seal.NewKey()
	if back, err := seal.ParseKey(key.Text() + "\n"); err != nil || back.Text() != key.Text() {
		t.Errorf("ParseKey(Text()) = %v, %v", back, err)
	}
	for _, bad := range []string{"", "vlk_", "vlk_" + canary, key.Text()[1:], key.Text() + "A"} {
		if _, err := seal.ParseKey(bad); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("ParseKey(%q) = %v", bad, err)
		}
	}
}

// A Secret and a Key are not told by whatever prints them (TRUST, must 25).
func TestCannotBePrinted(t *testing.T) {
	s, key := seal.NewSecret([]byte(canary)), seal.NewKey()
	type holder struct {
		S *seal.Secret
		V seal.Secret
		K seal.Key
		M map[string]seal.Secret

		p *seal.Secret // of what is hidden fmt calls no methods
		s seal.Secret
		k seal.Key
	}
	h := holder{&s, s, key, map[string]seal.Secret{"k": s}, &s, s, key}
	var printed strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "%10.2s", "%w"} {
		for _, v := range []any{s, &s, h, &h, []any{s, key}, key, &key} {
			fmt.Fprintf(&printed, verb+"\n", v)
		}
	}
	fmt.Fprintln(&printed, s, key, s.String(), s.GoString(), errors.New(fmt.Sprint(s)))
	for _, v := range []any{s, &s, h, map[string]any{"s": s}} {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		printed.Write(data)
	}
	type element struct{ S seal.Secret }
	data, err := xml.Marshal(element{s})
	if err != nil {
		t.Fatal(err)
	}
	printed.Write(data)
	for _, handler := range []slog.Handler{slog.NewTextHandler(&printed, nil), slog.NewJSONHandler(&printed, nil)} {
		slog.New(handler).Error("all", "s", s, "p", &s, "h", h, "k", key, slog.Group("g", "s", s))
	}
	hex := fmt.Sprintf("%x", canary)
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(key.Text(), "vlk_"))
	if err != nil {
		t.Fatal(err)
	}
	keyBytes := strings.Trim(fmt.Sprintf("%d", raw[:8]), "[]")
	for _, form := range []string{canary, hex, strings.ToUpper(hex), key.Text(), "99 97 110", "[99, 97", "0x63, 0x61", keyBytes} {
		if strings.Contains(printed.String(), form) {
			t.Errorf("%q was printed", form)
		}
	}
	if s.Reveal() != canary {
		t.Error("Reveal does not tell it")
	}
}

// Two processes that set secrets at the same time lose none.
func TestConcurrent(t *testing.T) {
	v, _ := newVault(t, seal.NewKey())
	var all sync.WaitGroup
	const n = 8
	for i := range n {
		all.Go(func() {
			if _, err := v.Put(context.Background(), seal.Entry{Name: fmt.Sprintf("key%d", i)}, seal.NewSecret([]byte(canary))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if list, err := v.List(); err != nil || len(list) != n {
		t.Errorf("List has %d entries, %v; want %d", len(list), err, n)
	}
}

// gitOutput is what git says of a repository.
func gitOutput(t testing.TB, repo *git.Repository, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", repo.CommonDir()}, args...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

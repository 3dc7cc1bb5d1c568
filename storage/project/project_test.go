package project

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/storage/git"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func open(t *testing.T) (*Projects, *git.Repository) {
	t.Helper()
	repo, err := git.MakeBare(t.Context(), filepath.Join(t.TempDir(), "architect.git"))
	if err != nil {
		t.Fatal(err)
	}
	return Open(repo, func() time.Time { return noon }), repo
}

func world() Project {
	return Project{
		Key: "github-7", Name: "octo/world", Installation: 3, Default: "refs/heads/main",
		Clone: "https://github.com/octo/world.git", Page: "https://github.com/octo/world", State: Active,
	}
}

func (s *Projects) mustPut(t *testing.T, p Project, want bool) {
	t.Helper()
	if changed, err := s.Put(t.Context(), p); err != nil || changed != want {
		t.Fatalf("Put(%+v) = %v, %v; want %v", p, changed, err, want)
	}
}

func TestProjects(t *testing.T) {
	s, repo := open(t)
	if all, err := s.List(t.Context()); len(all) != 0 || err != nil {
		t.Fatalf("List of nothing = %v, %v", all, err)
	}
	if _, err := s.Get(t.Context(), "github-7"); !errors.Is(err, ErrNone) {
		t.Fatalf("Get of nothing = %v; want ErrNone", err)
	}
	p := world()
	s.mustPut(t, p, true)
	s.mustPut(t, p, false) // nothing new is no history
	p.Name = "octo/planet"
	s.mustPut(t, p, true)
	p.State = Away
	s.mustPut(t, p, true)

	p.Since = noon
	got, err := s.Get(t.Context(), "github-7")
	if diff := cmp.Diff(p, got); diff != "" || err != nil {
		t.Errorf("Get after changes (-want +got), %v:\n%s", err, diff)
	}
	var history []string
	for h, err := repo.Ref(Ref); !h.IsZero(); {
		if err != nil {
			t.Fatal(err)
		}
		c, err := repo.Commit(h)
		if err != nil {
			t.Fatal(err)
		}
		history = append(history, strings.TrimSpace(c.Message))
		if len(c.Parents) == 0 {
			break
		}
		h = c.Parents[0]
	}
	want := []string{"github-7: octo/planet is away", "github-7: octo/world is octo/planet", "github-7: octo/world is here"}
	if diff := cmp.Diff(want, history); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

// A name that another repository has now is not the former one's any more: whoever
// asks by name must not reach the builds of somebody else.
func TestNameIsOfOne(t *testing.T) {
	s, _ := open(t)
	s.mustPut(t, world(), true)
	heir := world()
	heir.Key, heir.Name = "github-8", "Octo/World"
	s.mustPut(t, heir, true)
	elsewhere := world()
	elsewhere.Key, elsewhere.Installation = "gitlab-8", 0 // another forge has names of its own
	s.mustPut(t, elsewhere, true)
	for key, want := range map[string]State{"github-7": Away, "github-8": Active, "gitlab-8": Active} {
		if p, err := s.Get(t.Context(), key); err != nil || p.State != want {
			t.Errorf("%s is %s, %v; want %s", key, p.State, err, want)
		}
	}
}

func TestRefused(t *testing.T) {
	s, _ := open(t)
	for field, spoil := range map[string]func(*Project){
		"key":     func(p *Project) { p.Key = "github-7/../8" },
		"name":    func(p *Project) { p.Name = "" },
		"state":   func(p *Project) { p.State = "new" },
		"clone":   func(p *Project) { p.Clone = "https://host/\nfoo" },
		"page":    func(p *Project) { p.Page = strings.Repeat("x", maxText+1) },
		"default": func(p *Project) { p.Default = "refs/heads/\x1b[31m" },
	} {
		p := world()
		spoil(&p)
		var bad *FieldError
		if _, err := s.Put(t.Context(), p); !errors.As(err, &bad) || bad.Field != field {
			t.Errorf("Put of a bad %s = %v", field, err)
		}
	}
	foreign := world()
	foreign.Default = "wörld-世界-\xff"
	s.mustPut(t, foreign, true) // as git may call a branch
	if _, err := s.Get(t.Context(), "../x"); !errors.Is(err, ErrNone) {
		t.Errorf("Get of no key = %v; want ErrNone", err)
	}
}

func TestTogether(t *testing.T) {
	s, _ := open(t)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			p := world()
			p.Key, p.Name = "github-1"+string(rune('0'+i)), "octo/"+string(rune('a'+i))
			if _, err := s.Put(context.Background(), p); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if all, err := s.List(t.Context()); len(all) != 8 || err != nil {
		t.Errorf("%d projects, %v; want 8", len(all), err)
	}
}

func TestRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[^\pC]{0,40}`)
		p := Project{
			Key:  rapid.SampledFrom([]string{"github-1", "gitlab-9223372036854775807"}).Draw(t, "key"),
			Name: rapid.StringMatching(`[^\pC]{1,40}`).Draw(t, "name"), Default: text.Draw(t, "default"),
			Clone: text.Draw(t, "clone"), Page: text.Draw(t, "page"), Installation: rapid.Int64().Draw(t, "installation"),
			Public: rapid.Bool().Draw(t, "public"), State: rapid.SampledFrom([]State{Active, Archived, Away}).Draw(t, "state"),
			Since: noon,
		}
		data, err := encode(p)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decode(data); err != nil || got != p {
			t.Fatalf("decode(encode(%+v)) = %+v, %v", p, got, err)
		}
	})
}

func FuzzRecord(f *testing.F) {
	data, err := encode(world())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version": 2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := decode(data)
		if err != nil {
			return
		}
		again, err := encode(p)
		if err != nil {
			t.Fatalf("encode of what was read: %v", err)
		}
		if q, err := decode(again); err != nil || q != p {
			t.Errorf("read again: %+v, %v; want %+v", q, err, p)
		}
	})
}

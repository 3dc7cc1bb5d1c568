package app

import (
	"testing"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/storage/roster"
)

// Who runs the server is named by number or by login, each on one forge. What looks
// like a number is no login.
func TestAdmins(t *testing.T) {
	list := adminList{"github/7", "gitlab/Ann", "github/42"}
	for _, c := range []struct {
		p    web.Person
		want bool
	}{
		{web.Person{Forge: "github", ID: 7, Login: "bob"}, true},
		{web.Person{Forge: "gitlab", ID: 7, Login: "bob"}, false},
		{web.Person{Forge: "gitlab", ID: 8, Login: "ann"}, true},
		{web.Person{Forge: "github", ID: 8, Login: "ann"}, false},
		{web.Person{Forge: "github", ID: 8, Login: "42"}, false},
		{web.Person{Forge: "github", ID: 8, Login: "github/7"}, false},
		{web.Person{}, false},
	} {
		if got := list.names(c.p); got != c.want {
			t.Errorf("%s with the number %d is named: %t; want %t", c.p, c.p.ID, got, c.want)
		}
	}
	if (adminList)(nil).names(web.Person{Forge: "github", ID: 7}) {
		t.Error("without a list somebody is named")
	}
}

// A token is shown to no other forge than its own, which there is none of here; what
// is public anybody may read who signed in, and do no more.
func TestLetsAsksOwnForgeOnly(t *testing.T) {
	f := &forges{conf: &serverConfig{Public: true}}
	ann := web.Person{Forge: "gitlab", ID: 7, Login: "ann", Token: "secret"}
	for _, public := range []bool{false, true} {
		r := forge.Repository{Key: forge.Key{Kind: forge.GitHub, ID: 1}, Public: public}
		for _, need := range roster.Rights {
			want := public && need == roster.Read
			if got, err := f.lets(t.Context(), r, ann, need); got != want || err != nil {
				t.Errorf("%s of a repository that is public %t: %t, %v; want %t", need, public, got, err, want)
			}
		}
		if got, err := f.lets(t.Context(), r, web.Person{Forge: "github", ID: 7}, roster.Admin); got || err != nil {
			t.Errorf("admin of a repository: %t, %v", got, err)
		}
	}
}

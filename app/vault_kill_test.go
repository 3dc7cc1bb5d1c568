package app

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/storage/git"
	"github.com/velocity-ci/velocity/storage/seal"
)

// The process that seals secrets anew is killed as soon as its first, second or third
// change is seen: all secrets open, and the next rotation completes what was begun.
func TestRotationKilled(t *testing.T) {
	folder := t.TempDir()
	settings := filepath.Join(folder, "settings")
	c := &cli{env: map[string]string{"XDG_CONFIG_HOME": settings}, now: time.Now}
	repo, err := git.MakeBare(t.Context(), filepath.Join(folder, "repo.git"))
	if err != nil {
		t.Fatal(err)
	}
	keeper := ownKeeper{c, repo}
	values := []string{"canary-one", "canary-two"}
	for i, name := range []string{"one", "two"} {
		if _, err := keeper.SetSecret(t.Context(), api.SetSecret{Secret: api.Secret{Name: name}, Value: []byte(values[i])}); err != nil {
			t.Fatal(err)
		}
	}
	state := func() string { // of the files that a rotation changes
		head, err := os.ReadFile(filepath.Join(folderOf(repo), ownSecrets, seal.Ref))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		offered, err := filepath.Glob(filepath.Join(settings, "velocity", "*"+offeredKey+".key"))
		if err != nil {
			t.Error(err)
		}
		return string(head) + " " + filepath.Join(offered...)
	}
	for _, changes := range []int{1, 2, 3, 1, 2, 3} {
		killAfter(t, changes, state, "secret", "rotate", "--repo", repo.CommonDir(), "XDG_CONFIG_HOME="+settings)
		if got := given(t, keeper); !cmp.Equal(got, values) {
			t.Fatalf("killed after change %d, the secrets are %q", changes, got)
		}
	}
	if done, err := keeper.RotateSecrets(t.Context(), "ann"); done.Secrets != 2 || err != nil {
		t.Errorf("the rotation after it = %+v, %v", done, err)
	}
	if got := given(t, keeper); !cmp.Equal(got, values) {
		t.Errorf("after it the secrets are %q", got)
	}
	if all, err := filepath.Glob(filepath.Join(settings, "velocity", "*.key")); err != nil || len(all) != 2 {
		t.Errorf("the keys after it are %q, %v; want the first and the repository's", all, err)
	}
}

// killAfter runs the program, with a variable as its last argument, and kills it once
// state was seen to change so often, unless it has ended before.
func killAfter(t *testing.T, changes int, state func() string, args ...string) {
	t.Helper()
	cmd := exec.Command("velocity", args[:len(args)-1]...)
	cmd.Env = append(os.Environ(), args[len(args)-1])
	seen := state()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for changes > 0 {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("velocity: %v", err)
			}
			return
		case <-look.C:
		}
		if now := state(); now != seen {
			seen, changes = now, changes-1
		}
	}
	_ = cmd.Process.Kill() // it may just have ended
	<-ended
}

// given are the values of all secrets of a repository.
func given(t *testing.T, k ownKeeper) []string {
	t.Helper()
	v, err := k.c.repositoryVault(t.Context(), k.repo, false)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := v.List()
	if err != nil {
		t.Fatal(err)
	}
	opened, err := v.Give(t.Context(), entries, seal.Use{At: k.c.now(), Attempt: "k3f9a2-1/s0t0/1", Builder: "b1"})
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, s := range opened {
		values = append(values, s.Reveal())
	}
	return values
}

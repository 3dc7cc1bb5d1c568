package storage_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"golang.org/x/sys/unix"

	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/require"
)

func init() { roles["careless"] = recordWithGoGit }

// A powered is an ext4 file system of its own whose power can be cut: whatever it
// has not written is gone.
type powered struct {
	image, dir string
	mounted    bool
}

// diskSize is sparse, and as much as ext4 wants for a journal, in bytes.
const diskSize = 96 << 20

func newPowered(t *testing.T) *powered {
	t.Helper()
	folder := t.TempDir()
	p := &powered{image: filepath.Join(folder, "image"), dir: filepath.Join(folder, "disk")}
	for _, program := range []string{"mkfs.ext4", "mount", "umount"} {
		_, err := exec.LookPath(program)
		require.Have(t, "ext4", err)
	}
	if err := errors.Join(os.WriteFile(p.image, nil, 0o600), os.Truncate(p.image, diskSize), os.Mkdir(p.dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", p.image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v: %s", err, out)
	}
	if os.Getuid() != 0 {
		require.Have(t, "root", errors.New("only root mounts"))
	}
	require.Have(t, "loop", p.mount())
	t.Cleanup(func() {
		if err := p.unmount(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *powered) mount() error {
	out, err := exec.Command("mount", "-t", "ext4", "-o", "loop", p.image, p.dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mount: %w: %s", err, out)
	}
	p.mounted = true
	return nil
}

func (p *powered) unmount() error {
	if !p.mounted {
		return nil
	}
	p.mounted = false
	late := time.After(20 * time.Second)
	err := unix.Unmount(p.dir, 0)
	for errors.Is(err, unix.EBUSY) || err == nil && p.attached() {
		select { // nothing tells when the last one lets go
		case <-time.After(10 * time.Millisecond):
		case <-late:
			return errors.Join(err, fmt.Errorf("%s stays in use", p.image))
		}
		if err != nil { // what a killed process had open is closed a little later
			err = unix.Unmount(p.dir, 0)
		}
	}
	return err
}

// attached reports whether a loop device still has the image. A container that is
// being started has a copy of all mounts for a moment, and with it the disk that
// was cut: who mounted the image again would get that one.
func (p *powered) attached() bool {
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return false
	}
	for _, file := range files {
		if image, err := os.ReadFile(file); err == nil && strings.HasPrefix(string(image), p.image) {
			return true
		}
	}
	return false
}

// The request of linux/ext4.h (an _IOR of 'X', 125 and a __u32) and its flag that
// not even the journal is written.
const (
	ext4Shutdown = 0x8004587d
	noLogFlush   = 2
)

// cut takes the power away: from here on every write fails, and none that waits
// is done.
func (p *powered) cut() error {
	root, err := os.Open(p.dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.IoctlSetPointerInt(int(root.Fd()), ext4Shutdown, noLogFlush), root.Close())
}

// reboot is what comes after a cut.
func (p *powered) reboot(t *testing.T) {
	t.Helper()
	if err := errors.Join(p.unmount(), p.mount()); err != nil {
		t.Fatal(err)
	}
}

// cutDuring lets a child work, and cuts the power a little after it said some
// lines. It returns all that the child said.
func (p *powered) cutDuring(t *testing.T, role, dir string, commits []plan.Commit) *acked {
	t.Helper()
	child := childOf(t, role, dir, commits)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	a := newAcked()
	lines, cut := 1+rand.IntN(120), make(chan error, 1)
	a.hearAll(t, out, func(n int) {
		if n == lines {
			if rand.IntN(2) == 0 { // else right after an acknowledgement
				<-time.After(rand.N(20 * time.Millisecond))
			}
			cut <- errors.Join(p.cut(), child.Process.Kill())
		}
	})
	_ = child.Wait() // killed, or gave up without a disk
	select {
	case err := <-cut:
		if err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
	case <-time.After(time.Minute):
		t.Fatalf("the child ended before its time: %s", a.errors)
	}
	return a
}

// onDisk is a repository on a disk whose power can be cut.
func onDisk(t *testing.T) (p *powered, dir string, commits []plan.Commit) {
	t.Helper()
	p = newPowered(t)
	made, commits := newRepo(t, 2)
	recorded(t, made, commits[0])
	dir = filepath.Join(p.dir, "repo.git")
	if err := os.CopyFS(dir, os.DirFS(made)); err != nil {
		t.Fatal(err)
	}
	unix.Sync()
	return p, dir, commits
}

func trials() int {
	if testing.Short() {
		return 2
	}
	return 8
}

// TestPowerCut: what was acknowledged is there when the power is back.
func TestPowerCut(t *testing.T) {
	p, dir, commits := onDisk(t)
	all := newAcked()
	for range trials() {
		a := p.cutDuring(t, "recorder", dir, commits)
		p.reboot(t)
		for id, seq := range all.seqs { // what earlier trials left must stay
			a.seqs[id] = max(a.seqs[id], seq)
		}
		if unnoted := a.check(t, dir, recovered(t, dir, later)); len(unnoted) > 0 {
			t.Errorf("finished builds have no note: %s", unnoted)
		}
		if t.Failed() {
			return
		}
		all = a
	}
	noLocks(t, dir)
	t.Logf("%d power cuts, %d builds", trials(), len(all.seqs))
}

// TestPowerCutWithGoGit is the control: the same disk, cut at the same moments,
// loses what stock go-git has acknowledged. Should it ever not, the test above
// proves nothing.
func TestPowerCutWithGoGit(t *testing.T) {
	p, sound, commits := onDisk(t)
	lost := 0
	for n := range trials() {
		dir := filepath.Join(p.dir, fmt.Sprintf("careless-%d.git", n)) // the last one may be beyond use
		if err := os.CopyFS(dir, os.DirFS(sound)); err != nil {
			t.Fatal(err)
		}
		cli(t, dir, "update-ref", fmt.Sprintf("refs/heads/control-%d", n), string(commits[0]))
		unix.Sync()
		a := p.cutDuring(t, "careless", dir, []plan.Commit{commits[0], plan.Commit(fmt.Sprint(n))})
		p.reboot(t)
		last := a.seqs["control"]
		subject, err := try(dir, "log", "--max-count=1", "--format=%s", fmt.Sprintf("refs/heads/control-%d", n))
		kept, convErr := strconv.Atoi(strings.TrimSpace(subject))
		if err != nil || convErr != nil || kept < last {
			lost++
		}
	}
	t.Logf("stock go-git lost acknowledged commits in %d of %d power cuts", lost, trials())
	if lost == 0 {
		t.Error("stock go-git lost nothing: the power was not cut")
	}
}

// recordWithGoGit moves a branch as go-git does by itself. Its second argument
// names the branch.
func recordWithGoGit(c *child) error {
	store := filesystem.NewStorage(osfs.New(c.dir), cache.NewObjectLRUDefault())
	branch := plumbing.NewBranchReferenceName("control-" + string(c.commits[1]))
	parent := plumbing.NewHash(string(c.commits[0]))
	for n := 1; ; n++ {
		commit := store.NewEncodedObject()
		commit.SetType(plumbing.CommitObject)
		w, err := commit.Writer()
		if err != nil {
			return err
		}
		const format = "tree %s\nparent %s\nauthor A <a@example.org> %[3]d +0000\ncommitter A <a@example.org> %[3]d +0000\n\n%[4]d\n"
		_, err = fmt.Fprintf(w, format, emptyTree, parent, start.Unix(), n)
		if err := errors.Join(err, w.Close()); err != nil {
			return err
		}
		if parent, err = store.SetEncodedObject(commit); err != nil {
			return err
		}
		if err := store.SetReference(plumbing.NewHashReference(branch, parent)); err != nil {
			return err
		}
		c.say("durable", "control", n)
	}
}

// emptyTree is in every repository that newRepo makes.
const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

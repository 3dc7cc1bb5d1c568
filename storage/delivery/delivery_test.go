package delivery

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/velocity-ci/velocity/storage/git"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// A rig is an inbox on a real repository and a clock that a test holds.
type rig struct {
	*Inbox
	dir  string
	repo *git.Repository

	clock sync.Mutex
	now   time.Time
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{dir: filepath.Join(t.TempDir(), "architect.git"), now: noon}
	repo, err := git.MakeBare(t.Context(), r.dir)
	if err != nil {
		t.Fatal(err)
	}
	r.repo, r.Inbox = repo, Open(repo, r.time)
	return r
}

func (r *rig) time() time.Time { r.clock.Lock(); defer r.clock.Unlock(); return r.now }

func (r *rig) pass(d time.Duration) { r.clock.Lock(); defer r.clock.Unlock(); r.now = r.now.Add(d) }

// again is what a process sees that opens the same repository.
func (r *rig) again(t *testing.T) *Inbox {
	t.Helper()
	repo, err := git.Open(t.Context(), r.dir)
	if err != nil {
		t.Fatal(err)
	}
	return Open(repo, r.time)
}

func key(n int) string { return fmt.Sprintf("github-%040x", n) }

func (r *rig) some(n int) Delivery {
	return Delivery{Forge: "github", Key: key(n), Event: "push", Body: fmt.Appendf(nil, `{"n": %d}`, n), Received: r.time()}
}

func (r *rig) accept(t *testing.T, all ...Delivery) {
	t.Helper()
	for _, d := range all {
		if err := r.Accept(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
}

func (r *rig) begin(t *testing.T, key string, want bool) {
	t.Helper()
	if more, err := r.Begin(t.Context(), key); err != nil || more != want {
		t.Fatalf("Begin(%s) = %v, %v; want %v", key, more, err, want)
	}
}

// waits holds the inbox to what waits, also as another process sees it.
func (r *rig) waits(t *testing.T, want ...string) {
	t.Helper()
	for _, b := range []*Inbox{r.Inbox, r.again(t)} {
		got, err := b.Waiting(t.Context())
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Fatalf("Waiting (-want +got), %v:\n%s", err, diff)
		}
	}
}

func (r *rig) log(t *testing.T) []Entry {
	t.Helper()
	all, err := r.List(t.Context(), 1000, func(Entry) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (r *rig) states(t *testing.T) string {
	t.Helper()
	var said []string
	for _, e := range r.log(t) {
		said = append(said, strings.TrimLeft(strings.TrimPrefix(e.Key, "github-"), "0")+":"+string(e.State))
	}
	return strings.Join(said, " ")
}

func TestLife(t *testing.T) {
	r := newRig(t)
	r.waits(t)
	if _, err := r.Read(t.Context(), key(1)); !errors.Is(err, ErrNone) {
		t.Errorf("Read of nothing = %v; want ErrNone", err)
	}
	for n := range 3 {
		r.accept(t, r.some(n+1))
		r.pass(7 * time.Second)
	}
	r.waits(t, key(1), key(2), key(3))
	want := Delivery{"github", key(2), "push", []byte(`{"n": 2}`), noon.Add(7 * time.Second)}
	got, err := r.Read(t.Context(), key(2))
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Read (-want +got), %v:\n%s", err, diff)
	}
	r.begin(t, key(2), true)
	if err := r.Done(t.Context(), key(2), "build", "k3f9a2-7"); err != nil {
		t.Fatal(err)
	}
	if err := r.Failed(t.Context(), key(3), "no JSON"); err != nil {
		t.Fatal(err)
	}
	r.waits(t, key(1))
	r.begin(t, key(2), false) // it is over
	if got, err := r.Read(t.Context(), key(2)); err != nil || !cmp.Equal(got, want) {
		t.Errorf("Read of one that is done = %+v, %v", got, err)
	}
	wantLog := []Entry{
		{Key: key(3), Forge: "github", Event: "push", Received: noon.Add(14 * time.Second), Size: 8, State: Failed, Note: "no JSON", Tries: 1, Ended: noon.Add(21 * time.Second)},
		{Key: key(2), Forge: "github", Event: "push", Received: noon.Add(7 * time.Second), Size: 8, State: Done, Action: "build", Note: "k3f9a2-7", Tries: 1, Ended: noon.Add(21 * time.Second)},
		{Key: key(1), Forge: "github", Event: "push", Received: noon, Size: 8, State: Waiting, Tries: 1},
	}
	if diff := cmp.Diff(wantLog, r.log(t)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	only, err := r.List(t.Context(), 1, func(e Entry) bool { return e.State == Done })
	if len(only) != 1 || err != nil || only[0].Key != key(2) {
		t.Errorf("List of one that is done = %+v, %v", only, err)
	}
}

// A forge sends again what it was not answered for, and people press Redeliver.
func TestRepeats(t *testing.T) {
	r := newRig(t)
	r.accept(t, r.some(1), r.some(2), r.some(1))
	r.waits(t, key(1), key(2))
	if err := errors.Join(r.Done(t.Context(), key(1), "build", ""), r.Failed(t.Context(), key(2), "broken")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // of this process, and of the next
		r.pass(29 * 24 * time.Hour / 2)
		r.accept(t, r.some(1))
		r.waits(t)
		r.Inbox = r.again(t)
	}
	r.accept(t, r.some(2))
	r.waits(t, key(2))
	if err := errors.Join(r.Done(t.Context(), key(2), "", ""), r.Failed(t.Context(), key(2), "late")); err != nil {
		t.Fatal(err)
	}
	if got, want := r.states(t), "2:done 2:failed 1:done"; got != want {
		t.Errorf("log: %s; want %s", got, want)
	}
	r.pass(3 * 24 * time.Hour)
	r.accept(t, r.some(3), r.some(1)) // nobody sends again after a month
	r.waits(t, key(3), key(1))
	for name, err := range map[string]error{
		"Done": r.Done(t.Context(), key(9), "", ""), "Postpone": r.Postpone(t.Context(), key(9), ""), "Failed": r.Failed(t.Context(), "../x", ""),
	} {
		if !errors.Is(err, ErrNone) {
			t.Errorf("%s of what never came = %v; want ErrNone", name, err)
		}
	}
}

// The first try is counted with the delivery: to begin it writes nothing, as long as
// it is as this process left it.
func TestFirstTryIsCountedAlready(t *testing.T) {
	r := newRig(t)
	r.accept(t, r.some(1), r.some(2), r.some(2))
	before, err := headOf(r.repo)
	if err != nil {
		t.Fatal(err)
	}
	r.begin(t, key(1), true)
	if now, err := headOf(r.repo); now != before || err != nil {
		t.Error("to begin it was a write")
	}
	r.begin(t, key(1), true) // once more
	if now, err := headOf(r.repo); now == before || err != nil {
		t.Error("to begin it again was none")
	}
	other := r.again(t)
	if err := other.Done(t.Context(), key(2), "build", ""); err != nil {
		t.Fatal(err)
	}
	r.begin(t, key(2), false) // another process was faster
	if all := r.log(t); all[0].Tries+all[1].Tries != 3 {
		t.Errorf("log: %+v", all)
	}
}

// What kills the process is tried a few times, and holds up nothing.
func TestPutAway(t *testing.T) {
	r := newRig(t)
	r.accept(t, r.some(1), r.some(2))
	for range MaxTries {
		r.begin(t, key(1), true)
		r.Inbox = r.again(t) // the process died
	}
	r.begin(t, key(1), false)
	r.waits(t, key(2))
	if all := r.log(t); all[1].State != Failed || all[1].Tries != MaxTries || !strings.Contains(all[1].Note, "given up") {
		t.Errorf("log: %+v", all)
	}
	for range 3 * MaxTries { // the forge is away: nobody's fault
		r.begin(t, key(2), true)
		if err := r.Postpone(t.Context(), key(2), "502"); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 * MaxTries { // so is a stop in good order
		r.begin(t, key(2), true)
		if err := r.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.Inbox = r.again(t)
	}
	r.waits(t, key(2))
}

func TestRefusedDeliveries(t *testing.T) {
	r := newRig(t)
	for field, spoil := range map[string]func(*Delivery){
		"key":      func(d *Delivery) { d.Key = "x/../../y" },
		"forge":    func(d *Delivery) { d.Forge = "" },
		"received": func(d *Delivery) { d.Received = time.Time{} },
		"body":     func(d *Delivery) { d.Body = make([]byte, MaxBody+1) },
	} {
		d := r.some(1)
		spoil(&d)
		var no *RefusedError
		if err := r.Accept(t.Context(), d); !errors.As(err, &no) || no.Field != field {
			t.Errorf("Accept with a bad %s = %v", field, err)
		}
	}
	d := r.some(1)
	if d.Key = strings.Repeat("x", maxKey+1); r.Accept(t.Context(), d) == nil {
		t.Errorf("a key of %d bytes was taken", len(d.Key))
	}
	d.Key = strings.Repeat("x", maxKey)
	d.Event, d.Body = strings.Repeat("é", 300)+"\xff\x00", []byte("\xff\x00\n")
	r.accept(t, d)
	if got, err := r.Read(t.Context(), d.Key); err != nil || string(got.Body) != string(d.Body) || len(got.Event) != maxText {
		t.Errorf("Read of poison = %+v, %v", got, err)
	}
}

func TestRetention(t *testing.T) {
	r := newRig(t)
	r.accept(t, r.some(1), r.some(2), r.some(3))
	if err := errors.Join(r.Done(t.Context(), key(1), "", ""), r.Failed(t.Context(), key(2), "")); err != nil {
		t.Fatal(err)
	}
	read := func(want error) {
		t.Helper()
		if _, err := r.Read(t.Context(), key(1)); !errors.Is(err, want) {
			t.Errorf("Read after %s = %v; want %v", r.time().Sub(noon), err, want)
		}
	}
	read(nil)
	r.pass(KeepBodies)
	r.accept(t, r.some(4))
	read(nil)
	r.pass(24 * time.Hour)
	r.accept(t, r.some(5))
	read(ErrNone)
	r.pass(KeepEntries)
	r.accept(t, r.some(6))
	r.waits(t, key(3), key(4), key(5), key(6)) // what was not worked off stays
	if got, want := r.states(t), "6:waiting 5:waiting 4:waiting 3:waiting 2:failed 1:done"; got != want {
		t.Errorf("log: %s; want %s", got, want)
	}
	for n := 3; n <= 6; n++ {
		if err := r.Done(t.Context(), key(n), "", ""); err != nil {
			t.Fatal(err)
		}
	}
	r.pass(KeepEntries + period)
	r.accept(t, r.some(7))
	head, err := r.repo.Ref(Ref)
	if err != nil {
		t.Fatal(err)
	}
	files, err := r.repo.Walk(head, "", 100)
	if len(files) != 3 || err != nil {
		t.Errorf("%d files are left, %v; want those of the delivery that waits: %v", len(files), err, files)
	}
	if c, err := r.repo.Commit(head); err != nil || len(c.Parents) > 0 {
		t.Errorf("the ref has a history, %v: nothing would ever go", err)
	}
}

func TestRefusals(t *testing.T) {
	r := newRig(t)
	for n := range 200 {
		r.Refuse("bad signature", fmt.Sprint("192.0.2.", n))
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	r.Run(ctx) // records what there is before it ends
	sum, various := 0, 0
	all := r.log(t)
	for _, e := range all {
		if sum += e.Count; e.Source == "" {
			various += e.Count
		}
		if e.State != Refused || e.Note != "bad signature" || !e.Received.Equal(noon) {
			t.Errorf("recorded as %+v", e)
		}
	}
	if len(all) != maxRefusals+1 || sum != 200 || various != 200-maxRefusals {
		t.Errorf("%d records of %d refusals, %d of various", len(all), sum, various)
	}
}

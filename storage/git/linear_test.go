package git

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"golang.org/x/sys/unix"
)

func init() { roles["register"] = registerRole }

// A registerOp is one operation on the ref as its client saw it. Zero hashes are
// the ref not being there. A read has only Got; a compare and swap that went well
// found Old, one that did not found Got, or something else than Old if its client
// was not told what.
type registerOp struct {
	Client       int
	Swap, Done   bool
	Old, New     Hash
	Got          Hash
	Told         bool
	Call, Return int64 // nanoseconds of a clock that all processes share
}

// register is what a ref must be like: it has one value at a time, and a swap
// happens at one moment between its call and its return.
var register = porcupine.Model{
	Init: func() any { return Zero },
	Step: func(state, input, _ any) (bool, any) {
		now, op := state.(Hash), input.(registerOp)
		switch {
		case !op.Swap:
			return now == op.Got, now
		case op.Done:
			return now == op.Old, op.New
		case op.Told:
			return now == op.Got, now
		}
		return now != op.Old, now
	},
}

// clock is the same in all processes of a machine.
func clock() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err) // there is no machine without it
	}
	return now.Nano()
}

const registerRef = "refs/velocity/s/register"

// A registrar is one client.
type registrar struct {
	r      *Repository
	client int
	random *rand.Rand
	say    func(registerOp)
}

// step reads, and swaps what it read for something new or for nothing.
func (g *registrar) step(ctx context.Context, n int, swap func(ctx context.Context, b *Batch, op *registerOp) error) error {
	op := registerOp{Client: g.client, Call: clock()}
	got, err := g.r.Ref(registerRef)
	if err != nil && !errors.Is(err, ErrRefNotFound) {
		return err
	}
	op.Got, op.Return = got, clock()
	g.say(op)
	next := registerOp{Client: g.client, Swap: true, Old: got}
	b := g.r.NewBatch()
	if got.IsZero() || g.random.IntN(5) > 0 { // else it is deleted
		next.New = b.Blob(fmt.Appendf(nil, "client %d, value %d\n", g.client, n))
	}
	next.Call = clock()
	if err := swap(ctx, b, &next); err != nil {
		return err
	}
	next.Return = clock()
	g.say(next)
	return nil
}

// ours swaps with Write.
func (g *registrar) ours(ctx context.Context, b *Batch, op *registerOp) error {
	err := g.r.Write(ctx, b, []RefUpdate{{registerRef, op.Old, op.New}})
	var moved *RefMovedError
	if errors.As(err, &moved) {
		op.Got, op.Told = moved.Got, true
		return nil
	}
	op.Done = err == nil
	return err
}

// theirs swaps with stock git, which gives up at once when a lock is in its way.
func (g *registrar) theirs(ctx context.Context, b *Batch, op *registerOp) error {
	if err := g.r.Write(ctx, b, nil); err != nil { // so that git finds the object
		return err
	}
	for {
		_, err := tryCLI(g.r.commonDir, fmt.Sprintf("update %s %s %s\n", registerRef, op.New, op.Old), "update-ref", "--stdin")
		switch {
		case err == nil:
			op.Done = true
			return nil
		case strings.Contains(err.Error(), "but expected"), strings.Contains(err.Error(), "reference already exists"),
			strings.Contains(err.Error(), "unable to resolve reference"):
			return nil
		case !strings.Contains(err.Error(), ".lock"):
			return err
		}
	}
}

// registerRole is a process of four clients: args are the repository, the number
// of the first client, and how often each of them swaps.
func registerRole(args []string) error {
	r, err := Open(context.Background(), args[0])
	if err != nil {
		return err
	}
	first, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	times, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	var mu sync.Mutex
	say := func(op registerOp) {
		mu.Lock()
		defer mu.Unlock()
		_ = out.Encode(op) // a parent that is gone hears nothing
	}
	var group sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		group.Go(func() {
			g := &registrar{r: r, client: first + i, random: rand.New(rand.NewPCG(uint64(first), uint64(i))), say: say}
			for n := 0; n < times && errs[i] == nil; n++ {
				errs[i] = g.step(context.Background(), n, g.ours)
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// history collects what all clients say.
type history struct {
	mu  sync.Mutex
	ops []porcupine.Operation
}

func (h *history) add(op registerOp) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: op.Client, Input: op, Call: op.Call, Return: op.Return})
}

// hear takes in what a process says.
func (h *history) hear(t *testing.T, out io.Reader) {
	decoder := json.NewDecoder(out)
	for {
		var op registerOp
		err := decoder.Decode(&op)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Errorf("a client said: %v", err)
			return
		}
		h.add(op)
	}
}

// TestRefIsLinearizable: eight clients in two processes, and stock git as the
// ninth, read, swap, create and delete one ref, while git packs refs once in a
// while. What they saw must be explained by one order of all operations.
func TestRefIsLinearizable(t *testing.T) {
	times := 120
	if testing.Short() {
		times = 25
	}
	r, dir := newBare(t)
	var h history
	var clients, background sync.WaitGroup
	over := make(chan struct{})
	for i := range 2 {
		cmd := role(t, "register", dir, fmt.Sprint(4*i), fmt.Sprint(times))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		clients.Go(func() {
			h.hear(t, out)
			if err := cmd.Wait(); err != nil {
				t.Errorf("a process of clients: %v", err)
			}
		})
	}
	background.Go(func() {
		g := &registrar{r: r, client: 8, random: rand.New(rand.NewPCG(8, 8)), say: h.add}
		for n := 0; !isOver(over); n++ {
			if err := g.step(t.Context(), n, g.theirs); err != nil {
				t.Errorf("stock git: %v", err)
				return
			}
		}
	})
	background.Go(func() { packRefsAtTimes(t, dir, over) })
	clients.Wait()
	close(over)
	background.Wait()
	if result := porcupine.CheckOperationsTimeout(register, h.ops, 2*time.Minute); result != porcupine.Ok {
		t.Errorf("%d operations: no order explains them (%s)", len(h.ops), result)
	}
	swaps, git := 0, 0
	for _, op := range h.ops {
		if in := op.Input.(registerOp); in.Swap && in.Done {
			swaps++
			if in.Client == 8 {
				git++
			}
		}
	}
	t.Logf("%d operations, %d swaps, %d of them by git", len(h.ops), swaps, git)
	if swaps == 0 || git == 0 {
		t.Error("too little happened to prove anything")
	}
	fsck(t, dir)
	noLocks(t, dir)
}

func isOver(over chan struct{}) bool {
	select {
	case <-over:
		return true
	default:
		return false
	}
}

// packRefsAtTimes packs refs every second, and not without a pause: stock git
// itself loses updates then.
func packRefsAtTimes(t *testing.T, dir string, over chan struct{}) {
	tick := time.NewTicker(time.Second / 4)
	defer tick.Stop()
	for {
		if _, err := tryCLI(dir, "", "pack-refs", "--all", "--prune"); err != nil && !strings.Contains(err.Error(), ".lock") {
			t.Errorf("git pack-refs: %v", err)
		}
		select {
		case <-over:
			return
		case <-tick.C:
		}
	}
}

package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// An Exec runs a program of the server's machine, with an event on its standard
// input. It sees no environment and no arguments, and is the leader of a process
// group of its own, of which nothing is left when it has ended.
type Exec struct {
	Path string // absolute
}

// Limits of one program.
const (
	execLimit = 30 * time.Second
	maxOutput = 1 << 20 // bytes, after which it is ended
	pipeLimit = time.Second
	maxSaid   = 300 // bytes of its output in an error, from the end
)

var errFlood = fmt.Errorf("it wrote more than %d MiB", maxOutput>>20)

// Send implements Sender. The program has taken the event when it exits with 0.
func (x *Exec) Send(ctx context.Context, e *Event) error {
	input, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode the event: %w", err)
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	ctx, cancel := context.WithTimeoutCause(ctx, execLimit, fmt.Errorf("it did not end within %s", execLimit))
	defer cancel()
	out := &output{flood: func() { end(errFlood) }}
	cmd := exec.CommandContext(ctx, x.Path)
	cmd.Env, cmd.Dir = []string{}, "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), out, out
	// A group and not a session: builder/host ends what is in other sessions.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return killGroup(cmd.Process.Pid) }
	cmd.WaitDelay = pipeLimit // for whoever left the group with our pipe in hand
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start it: %w", err)
	}
	err = cmd.Wait()
	// What it left behind keeps the group's id from being anybody else's; if it left
	// nothing there is nothing to be hit.
	_ = killGroup(cmd.Process.Pid)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if errors.Is(err, exec.ErrWaitDelay) { // it has ended well, and left something that writes
		err = nil
	}
	if err != nil {
		return fmt.Errorf("%w%s", err, out.said())
	}
	return nil
}

// killGroup ends all processes of a group.
func killGroup(leader int) error { return syscall.Kill(-leader, syscall.SIGKILL) }

// An output keeps the end of what a program wrote.
type output struct {
	flood func() // it was too much

	mu   sync.Mutex
	size int
	last []byte
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.size += len(p); o.size > maxOutput {
		o.flood()
		return 0, errFlood
	}
	o.last = append(o.last, p[max(0, len(p)-maxSaid):]...)
	o.last = o.last[max(0, len(o.last)-maxSaid):]
	return len(p), nil
}

// said is the end of the output as a part of a sentence; "" if there was none.
func (o *output) said() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := strings.TrimSpace(strings.ToValidUTF8(string(o.last), "\uFFFD"))
	if text == "" {
		return ""
	}
	return fmt.Sprintf("; it said %q", text)
}

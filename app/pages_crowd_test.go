package app_test

import (
	"errors"
	"io"
	"math"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
)

// A thousand follow one log while it grows. Each sees all of it, if need be in parts, for
// who is slow is cut off; and the build does not notice: it is the first attempt that ends.
func TestThousandFollowLiveLog(t *testing.T) {
	many := int32(1000)
	if testing.Short() {
		many = 200
	}
	begin, end := newGate(t), newGate(t)
	defer begin.open() // the server waits for its steps
	defer end.open()
	s := &stall{kiosk: foundKiosk(t, map[string]string{"talk": `steps:
- type: run
  script: |
    echo here
    read go <` + begin.path + `
    i=0; while [ $i -lt 500 ]; do echo "line $i"; i=$((i+1)); done
    read go <` + end.path + `
    printf over
`}, "builder: {executor: host}\n"), way: newGateway(t)}
	s.write(".home/.gitconfig", gitConfig)
	s.url = s.way.url()
	t.Cleanup(s.kill)
	s.serve() // in a process of its own: those who follow are in this one
	s.url = "http://" + listensAt.FindStringSubmatch(s.said.text())[1]
	s.signIn()
	path := "/builds/" + s.start("talk") + "/log/s0t0"
	followers := make([]follower, many)
	var here, most atomic.Int32
	var all errgroup.Group
	for i := range followers {
		all.Go(func() error {
			come, had := false, false
			err := io.ErrUnexpectedEOF
			for errors.Is(err, io.ErrUnexpectedEOF) {
				err = followers[i].follow(s.kiosk, path+"/live?from=0-1", func() int64 { return math.MaxInt64 }, func(lines int) {
					if !come && here.Add(1) == many {
						begin.open()
					}
					come = true
					if !had && lines == 501 {
						if had = true; most.Add(1) == many {
							end.open()
						}
					}
				})
			}
			return err
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	_, text := s.open(path + "/raw?attempt=1")
	want := whole(text)
	if len(want) != 502 {
		t.Fatalf("the raw log has %d lines", len(want))
	}
	for i := range followers {
		followers[i].same(t, want)
	}
}

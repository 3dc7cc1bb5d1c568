package app_test

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/velocity-ci/velocity/architect/dispatch/clustertest"
)

// A clustered script may have a NATS cluster.
type clustered struct{ nodes *clustertest.Cluster }

func (c *clustered) stop() {
	if c.nodes != nil {
		c.nodes.Stop()
	}
}

// clusterOf is a command of scripts. `cluster start ACCOUNT CERTIFICATE KEY` starts
// three nodes, and puts the address of each into NATS0 to NATS2 and all of them
// into NATS; `cluster kill N`, `cluster restart N`, and `cluster reload ACCOUNT`.
func clusterOf(ts *testscript.TestScript, neg bool, args []string) {
	c := ts.Value(clustered{}).(*clustered)
	if neg || len(args) < 2 || args[0] != "start" && c.nodes == nil {
		ts.Fatalf("usage: cluster start ACCOUNT CERTIFICATE KEY | kill N | restart N | reload ACCOUNT")
	}
	node, _ := strconv.Atoi(args[1]) // used where it is a number
	switch args[0] {
	case "start":
		ts.Check(os.Mkdir(ts.MkAbs("nodes"), 0o700))
		var err error
		c.nodes, err = clustertest.Start(clustertest.Options{
			Dir: ts.MkAbs("nodes"), Account: ts.ReadFile(args[1]), Certificate: ts.MkAbs(args[2]), Key: ts.MkAbs(args[3]),
		})
		ts.Check(err)
		for i := range clustertest.Size {
			ts.Setenv(fmt.Sprint("NATS", i), c.nodes.Address(i))
		}
		ts.Setenv("NATS", c.nodes.URL())
	case "kill":
		c.nodes.Kill(node)
	case "restart":
		ts.Check(c.nodes.Restart(node))
	case "reload":
		ts.Check(c.nodes.Configure(ts.ReadFile(args[1])))
		ts.Check(c.nodes.Reload())
	}
}

// more is a command of scripts, `more N FILE`: it waits until the file has so many
// lines more than now.
func more(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: more N FILE")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	lines := func() int {
		text, _ := os.ReadFile(ts.MkAbs(args[1])) // one that is not there yet has no line
		return bytes.Count(text, []byte("\n"))
	}
	goal := lines() + n
	until(ts, "more lines in "+args[1], func() error {
		if got := lines(); got < goal {
			return fmt.Errorf("%d of %d", got, goal)
		}
		return nil
	})
}

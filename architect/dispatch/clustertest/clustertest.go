// Package clustertest is a NATS cluster for tests: three nats-server processes
// that a test kills, starts again and lets reload. The processes are those of the
// test's own binary, which is nats-server if it was started as one.
package clustertest

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Size is how many nodes a cluster has, counted from 0.
const Size = 3

// asNode is the variable that makes a process a node.
const asNode = "VELOCITY_TEST_NATS_NODE"

// Serve makes this process a node, which does not return, if it was started as
// one. The TestMain of a package that starts clusters calls it first.
func Serve() {
	if os.Getenv(asNode) == "" {
		return
	}
	options, err := server.ConfigureOptions(flag.NewFlagSet("nats-server", flag.ExitOnError), os.Args[1:], nil, nil, nil)
	if err != nil {
		server.PrintAndDie(err.Error())
	}
	s, err := server.NewServer(options)
	if err != nil {
		server.PrintAndDie(err.Error())
	}
	s.ConfigureLogger()
	if err := server.Run(s); err != nil {
		server.PrintAndDie(err.Error())
	}
	s.WaitForShutdown()
	os.Exit(0)
}

// A Cluster is three nodes. Its methods are safe for concurrent use.
type Cluster struct {
	dir             string
	tls             string   // the block of the configuration; "" without
	clients, routes []string // addresses

	mu    sync.Mutex
	nodes [Size]*exec.Cmd
}

// Options say how a cluster is made.
type Options struct {
	Dir              string // for its files
	Account          string // configuration that says who is let in
	Certificate, Key string // PEM files for tls://; "" for nats://
}

// Start starts a cluster and waits until each node answers. The caller must Stop
// it, also after an error.
func Start(o Options) (*Cluster, error) {
	c := &Cluster{dir: o.Dir}
	if o.Certificate != "" {
		c.tls = fmt.Sprintf("tls { cert_file: %q, key_file: %q }\n", o.Certificate, o.Key)
	}
	if err := c.Configure(o.Account); err != nil {
		return c, err
	}
	addresses, err := freeAddresses(2 * Size)
	if err != nil {
		return c, err
	}
	c.clients, c.routes = addresses[:Size], addresses[Size:]
	for i := range Size {
		if err := c.Restart(i); err != nil {
			return c, err
		}
	}
	return c, nil
}

// freeAddresses finds n addresses that nobody uses, below those that systems give
// out by themselves: a node's must still be free when it is started again. All are
// held until the last one is found, so that none is found twice.
func freeAddresses(n int) ([]string, error) {
	var all []string
	for tries := 100 * n; len(all) < n; tries-- {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000))) //nolint:noctx // returns at once
		if err == nil {
			defer l.Close()
			all = append(all, l.Addr().String())
		} else if tries <= 0 {
			return nil, fmt.Errorf("find %d free ports: %w", n, err)
		}
	}
	return all, nil
}

// accountFile is what all nodes include, in the folder of the cluster.
const accountFile = "account.conf"

// Configure writes who is let in by nodes that start or reload.
func (c *Cluster) Configure(account string) error { return c.write(accountFile, account) }

func (c *Cluster) write(name, text string) error {
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
		return fmt.Errorf("configure the cluster: %w", err)
	}
	return nil
}

// node is the configuration of one node.
func (c *Cluster) node(i int) string {
	var routes []string
	for _, address := range c.routes {
		routes = append(routes, "nats-route://"+address)
	}
	return fmt.Sprintf("server_name: n%d\nlisten: %s\nlog_file: %q\nmax_payload: 8MB\n"+
		"cluster { name: c, listen: %s, routes: [%s] }\n%sinclude %s\n",
		i, c.clients[i], c.log(), c.routes[i], strings.Join(routes, ", "), c.tls, accountFile)
}

func (c *Cluster) log() string { return filepath.Join(c.dir, "nodes.log") }

// Address is where clients reach a node.
func (c *Cluster) Address(node int) string {
	if c.tls != "" {
		return "tls://" + c.clients[node]
	}
	return "nats://" + c.clients[node]
}

// URL is all addresses, as a client is told them.
func (c *Cluster) URL() string {
	var all []string
	for i := range Size {
		all = append(all, c.Address(i))
	}
	return strings.Join(all, ",")
}

// Restart starts a node that does not run, and waits until it answers.
func (c *Cluster) Restart(node int) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start node %d: %w", node, err)
	}
	config := fmt.Sprintf("node%d.conf", node)
	if err := c.write(config, c.node(node)); err != nil {
		return err
	}
	cmd := exec.Command(self, "-c", filepath.Join(c.dir, config)) //nolint:noctx // it ends with Kill
	cmd.Env = append(os.Environ(), asNode+"=1")
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start node %d: %w", node, err)
	}
	c.mu.Lock()
	c.nodes[node] = cmd
	c.mu.Unlock()
	return c.await(node)
}

// What a node does has no event that another process could wait for.
const (
	tries    = 1200
	tryEvery = 25 * time.Millisecond
)

// await waits until a node answers.
func (c *Cluster) await(node int) error {
	var last error
	for range tries {
		conn, err := net.Dial("tcp", c.clients[node]) //nolint:noctx // answers or refuses at once
		if err == nil {
			return conn.Close()
		}
		last = err
		<-time.After(tryEvery)
	}
	return fmt.Errorf("node %d does not answer: %w\n%s", node, last, c.said())
}

// Kill ends a node at once, if it runs.
func (c *Cluster) Kill(node int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cmd := c.nodes[node]; cmd != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // says that it was killed
		c.nodes[node] = nil
	}
}

// reloaded is what a node's log says when it has loaded its configuration again.
const reloaded = "Reloaded server configuration"

// Reload lets all nodes that run load the configuration again, and returns when
// they have.
func (c *Cluster) Reload() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	goal := c.logged(reloaded)
	for i, cmd := range c.nodes {
		if cmd == nil {
			continue
		}
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			return fmt.Errorf("reload node %d: %w", i, err)
		}
		goal++
	}
	for range tries {
		if c.logged(reloaded) >= goal {
			return nil
		}
		<-time.After(tryEvery)
	}
	return fmt.Errorf("the nodes do not reload:\n%s", c.said())
}

func (c *Cluster) logged(line string) int { return strings.Count(c.said(), line) }

// said is what the nodes logged.
func (c *Cluster) said() string {
	text, err := os.ReadFile(c.log())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Stop ends all nodes.
func (c *Cluster) Stop() {
	for i := range Size {
		c.Kill(i)
	}
}

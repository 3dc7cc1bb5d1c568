package web_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage/roster"
)

// A tape is a clerk with a long log, who notes how far it was read.
type tape struct {
	*clerk
	text string
	size int64        // as the build has it; 0 if it does not say
	read atomic.Int64 // offset behind what was read last
}

func (p *tape) Find(ctx context.Context, text string) (*build.Build, error) {
	b, err := p.clerk.Find(ctx, text)
	if err == nil {
		b.Stages[0].Tasks[0].Log.Bytes = p.size
	}
	return b, err
}

func (p *tape) LogFrom(_ context.Context, _ build.ID, _ string, _ int, offset, limit int64) ([]byte, error) {
	end := min(offset+limit, int64(len(p.text)))
	p.read.Store(end)
	return []byte(p.text[min(offset, end):end]), nil
}

// record adds the repository tape, whose build has the log, and returns where that is.
func (r *rig) record(text string) (*tape, string) {
	p := &tape{clerk: &clerk{store: "tttttt"}, text: text}
	r.front.Sites.Add(&web.Server{
		Architect: architect.New(nil, slog.New(slog.DiscardHandler), r.now), Site: &architect.Site{Name: "tape"}, Desk: p, Shelf: empty{}, Record: p,
		Why: func(context.Context, *build.Build, string) ([]api.Reason, error) { return []api.Reason{}, nil },
	})
	return p, "/builds/tttttt-7/log/s0t0"
}

// receive sends a request, and returns the answer with what was in it.
func (r *rig) receive(req *http.Request) (*http.Response, string) {
	r.t.Helper()
	resp, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp, string(text)
}

// Whoever takes nothing of a stream is cut off, and nothing but what the connection
// holds is kept for them; they can go on behind the last event that they have.
func TestSlowFollowerIsCut(t *testing.T) {
	r := newRig(t)
	r.front.Patience = 200 * time.Millisecond
	long, path := r.record(strings.Repeat(strings.Repeat("x", 127)+"\n", 1<<18))
	secret, _ := r.token(roster.Read)
	session := r.signIn(secret)
	cut := make(chan struct{})
	server := httptest.NewUnstartedServer(r.front.Handler())
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(cut)
		}
	}
	server.Start()
	defer server.Close()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil { // what fills it need not be much
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET %s/live?from=0-1 HTTP/1.1\r\nHost: ci\r\nCookie: %s=%s\r\n\r\n", path, session.Name, session.Value)
	select {
	case <-cut:
	case <-time.After(time.Minute):
		t.Fatal("who takes nothing is not cut off")
	}
	if read := long.read.Load(); read > int64(len(long.text))/2 {
		t.Errorf("%d of %d bytes were read for nobody", read, len(long.text))
	}

	// What had been sent is whole events and perhaps a part of one, and not the end.
	sent, _ := io.ReadAll(conn) // it broke off
	if bytes.Contains(sent, []byte("event: end")) {
		t.Fatalf("%d bytes were sent, also the end", len(sent))
	}
	last := "0-1" // on a machine so loaded that the first event was late
	whole := sent[:bytes.LastIndex(sent, []byte("\n\n"))+1]
	if i := bytes.LastIndex(whole, []byte("\nid: ")); i >= 0 {
		id, _, _ := bytes.Cut(whole[i+len("\nid: "):], []byte("\n"))
		last = string(id)
	}
	_, number, _ := strings.Cut(last, "-")
	r.front.Patience = 0 // where it goes on is what counts now, and a machine may be slow
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+path+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.AddCookie(session)
	req.Header.Set("Last-Event-ID", last)
	resp, err := r.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	next := make([]byte, 1000) // fits into the connection, however slow this machine is
	if _, err := io.ReadFull(resp.Body, next); err != nil || !strings.Contains(string(next), `"lines":[{"n":`+number+`,`) {
		t.Errorf("behind %s comes %.200q, %v", last, next, err)
	}
}

// A thousand follow one log at once, and each is sent all of it.
func TestThousandFollowers(t *testing.T) {
	const many = 1000
	r := newRig(t)
	_, path := r.record(strings.Repeat("a line of a log\n", 1000))
	secret, _ := r.token(roster.Read)
	session := r.signIn(secret)
	var all errgroup.Group
	sent := make([]string, many)
	for i := range sent {
		all.Go(func() error {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+path+"/live?from=0-1", nil)
			if err != nil {
				return err
			}
			req.AddCookie(session)
			resp, err := r.http.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			sent[i] = string(text)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(sent[0], `{"n":`); lines != 1000 || !strings.Contains(sent[0], "event: end") {
		t.Fatalf("%d lines were sent: %.200q", lines, sent[0])
	}
	for i := range sent {
		if sent[i] != sent[0] {
			t.Fatalf("follower %d was sent something else than the first: %.200q", i, sent[i])
		}
	}
}

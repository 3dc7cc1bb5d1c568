package forgetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// maxAnswer bounds what is kept of the answer to a delivery, in bytes.
const maxAnswer = 64 << 10

// A Delivery is a webhook that was sent, or was meant to be.
type Delivery struct {
	ID           int64
	GUID         string // of the event: the same when it is sent again
	Event        string
	Action       string // "" if the event has none
	Repository   int64  // 0 if it is about none
	Installation int64  // of GitHub, or the hook's number
	URL          string
	Header       http.Header
	Body         []byte
	Redelivery   bool

	Sent   time.Time
	Took   time.Duration
	Status int    // of the answer; 0 if there was none
	Answer []byte // its body, shortened
	Error  string // why there was none
}

// OK reports whether the receiver took it.
func (d Delivery) OK() bool { return d.Status >= 200 && d.Status < 300 }

// A Sender sends webhooks, one after the other, and keeps what became of them. It
// is safe for concurrent use.
type Sender struct {
	client *http.Client
	faults *Faults
	now    func() time.Time

	mu      sync.Mutex
	last    int64
	queue   []Delivery
	held    []Delivery // overtaken by what is sent next
	log     []Delivery
	sending bool
	closed  bool
	changed bell
	done    chan struct{}
}

// NewSender sends with a limit of time for each answer. Close ends it.
func NewSender(faults *Faults, limit time.Duration, now func() time.Time) *Sender {
	s := &Sender{
		client: &http.Client{
			Timeout:       limit,
			Transport:     &http.Transport{},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		faults: faults, now: now, done: make(chan struct{}),
	}
	go s.run()
	return s
}

// Send takes a delivery, gives it an id and returns at once. What the faults decide
// about it is by its event.
func (s *Sender) Send(d Delivery) int64 {
	f := s.faults.delivery(d.Event)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	d.ID = s.last
	switch {
	case f.dropped:
		return d.ID
	case f.undelivered:
		d.Sent, d.Error = s.now(), "failed to connect to host"
		s.log = append(s.log, d)
	case f.delayed:
		s.held = append(s.held, d)
	default:
		s.queue = append(s.queue, d)
		s.queue = append(s.queue, s.held...)
		s.held = nil
	}
	if f.duplicated && !f.undelivered {
		again := d
		s.last++
		again.ID = s.last
		s.queue = append(s.queue, again)
	}
	s.changed.ring()
	return d.ID
}

// Release sends what is held back.
func (s *Sender) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, s.held...)
	s.held = nil
	s.changed.ring()
}

// Settle sends what is held back, and waits until all deliveries are answered.
func (s *Sender) Settle(ctx context.Context) error {
	s.Release()
	return s.wait(ctx, func() bool { return len(s.queue) == 0 && !s.sending })
}

// WaitDelivery waits for a delivery that was answered, or failed.
func (s *Sender) WaitDelivery(ctx context.Context, match func(Delivery) bool) (Delivery, error) {
	var found Delivery
	err := s.wait(ctx, func() bool {
		i := slices.IndexFunc(s.log, match)
		if i >= 0 {
			found = s.log[i]
		}
		return i >= 0
	})
	return found, err
}

func (s *Sender) wait(ctx context.Context, ready func() bool) error {
	for {
		s.mu.Lock()
		ok, changed := ready(), s.changed.next()
		s.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for deliveries: %w", ctx.Err())
		}
	}
}

// Log has the deliveries that were answered or failed, oldest first. Those that
// faults dropped are not in it.
func (s *Sender) Log() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// Close waits for the delivery that is under way; those behind it are not sent.
func (s *Sender) Close() {
	s.mu.Lock()
	s.closed = true
	s.changed.ring()
	s.mu.Unlock()
	<-s.done
	s.client.CloseIdleConnections()
}

// run sends until the sender is closed.
func (s *Sender) run() {
	defer close(s.done)
	for {
		s.mu.Lock()
		closed, changed := s.closed, s.changed.next()
		var next *Delivery
		if !closed && len(s.queue) > 0 {
			next, s.queue, s.sending = &s.queue[0], s.queue[1:], true
		}
		s.mu.Unlock()
		switch {
		case closed:
			return
		case next == nil:
			<-changed
			continue
		}
		begin := time.Now()
		d := s.post(*next)
		d.Took = time.Since(begin)
		s.mu.Lock()
		s.log = append(s.log, d)
		s.sending = false
		s.changed.ring()
		s.mu.Unlock()
	}
}

// post sends a delivery and notes what became of it.
func (s *Sender) post(d Delivery) Delivery {
	d.Sent = s.now()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, d.URL, bytes.NewReader(d.Body))
	if err != nil {
		d.Error = err.Error()
		return d
	}
	maps.Copy(req.Header, d.Header)
	resp, err := s.client.Do(req)
	if err != nil {
		d.Error = err.Error()
		return d
	}
	defer resp.Body.Close()
	d.Status = resp.StatusCode
	d.Answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		d.Error = err.Error()
	}
	return d
}

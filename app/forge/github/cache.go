package github

import (
	"bytes"
	"container/list"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// Limits of the cache.
const (
	maxCache = 32 << 20 // bytes of all bodies
	maxEntry = 2 << 20  // bytes of one body
)

// A cache keeps answers with their ETags: to ask whether one still holds is free
// of charge, and to read it again is not. The ones used last are kept.
type cache struct {
	max int

	mu     sync.Mutex
	size   int
	order  *list.List // of *entry, the one used last in front
	byName map[string]*list.Element
}

type entry struct {
	name, etag string
	header     http.Header
	body       []byte
}

func newCache(maxBytes int) *cache {
	return &cache{max: maxBytes, order: list.New(), byName: map[string]*list.Element{}}
}

func (c *cache) find(name string) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.byName[name]
	if at == nil {
		return nil
	}
	c.order.MoveToFront(at)
	return at.Value.(*entry)
}

func (c *cache) keep(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.byName[e.name]; at != nil {
		c.drop(at)
	}
	c.byName[e.name] = c.order.PushFront(e)
	c.size += len(e.body)
	for c.size > c.max {
		c.drop(c.order.Back())
	}
}

func (c *cache) drop(at *list.Element) {
	e := c.order.Remove(at).(*entry)
	delete(c.byName, e.name)
	c.size -= len(e.body)
}

// cached asks for what it knows only whether it changed. What one owner was told is
// not shown to another.
type cached struct {
	next  http.RoundTripper
	cache *cache
	owner int64
}

func (t *cached) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet {
		return t.next.RoundTrip(req)
	}
	name := fmt.Sprintf("%d %s", t.owner, req.URL)
	known := t.cache.find(name)
	if known != nil {
		req = req.Clone(req.Context())
		req.Header.Set("If-None-Match", known.etag)
	}
	resp, err := t.next.RoundTrip(req)
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode == http.StatusNotModified && known != nil:
		return t.again(resp, known), nil
	case resp.StatusCode == http.StatusOK && resp.Header.Get("ETag") != "":
		return t.first(resp, name)
	}
	return resp, nil
}

// again is the answer that is known, with what the new one says of limits.
func (t *cached) again(resp *http.Response, known *entry) *http.Response {
	resp.Body.Close()
	header := known.header.Clone()
	for name, values := range resp.Header {
		header[name] = values
	}
	resp.StatusCode, resp.Status = http.StatusOK, "200 OK"
	resp.Header = header
	resp.Body = io.NopCloser(bytes.NewReader(known.body))
	resp.ContentLength = int64(len(known.body))
	return resp
}

// first reads an answer and keeps it, unless it is a large one.
func (t *cached) first(resp *http.Response, name string) (*http.Response, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxEntry+1))
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	if len(body) > maxEntry {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), resp.Body), resp.Body}
		return resp, nil
	}
	resp.Body.Close()
	t.cache.keep(&entry{name: name, etag: resp.Header.Get("ETag"), header: resp.Header.Clone(), body: body})
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

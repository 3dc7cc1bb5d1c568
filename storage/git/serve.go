package git

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	uploadService = "git-upload-pack"

	// maxFetchRequest bounds a fetch's question after it is unpacked, in bytes: a
	// line for each of some hundred thousand commits that the other side has.
	maxFetchRequest = 32 << 20
	// serveWithin bounds one answer, serveIdle the time in which none of it is read.
	serveWithin = time.Hour
	serveIdle   = time.Minute
)

// visibleRefs are what every fetch sees: branches and tags. Our own refs and notes,
// and what else a user's repository may have (stash, remotes), are hidden unless the
// caller shows them. The last matching entry decides, and these come after the
// repository's own.
//
// A commit that a build was planned for may not be the tip of anything any more,
// so it can be asked for by its id. In version 2 of the protocol git never asks
// whether it is reachable; in the older ones it does. Either way an id is served
// to those who know it.
var visibleRefs = []string{
	"uploadpack.hideRefs=refs", "uploadpack.hideRefs=!refs/heads", "uploadpack.hideRefs=!refs/tags",
	"uploadpack.allowAnySHA1InWant=false", "uploadpack.allowReachableSHA1InWant=true", // in this order: the first clears the second
	"uploadpack.allowFilter=false", "uploadpack.allowRefInWant=false", "uploadpack.keepAlive=5",
}

// ServeFetch answers a git client that fetches over HTTP, in version 2 of the
// protocol or an older one, and nobody who pushes. It goes by the end of the
// request's path, "/info/refs" or "/git-upload-pack"; who may ask is for the
// caller to decide before. It shows branches and tags. It returns when all is
// answered, or the request's context ends, which ends git, too.
func (r *Repository) ServeFetch(w http.ResponseWriter, req *http.Request) {
	r.ServeFetchOf(w, req, nil)
}

// ServeFetchOf is ServeFetch for those who may see more: refs whose names are among
// more, or begin with one of them and a slash.
func (r *Repository) ServeFetchOf(w http.ResponseWriter, req *http.Request, more []string) {
	visible := visibleRefs[:len(visibleRefs):len(visibleRefs)]
	for _, name := range more {
		visible = append(visible, "uploadpack.hideRefs=!"+name)
	}
	w.Header().Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
	switch {
	case strings.HasSuffix(req.URL.Path, "/info/refs"):
		r.serveRefs(w, req, visible)
	case strings.HasSuffix(req.URL.Path, "/"+uploadService):
		r.servePack(w, req, visible)
	case strings.HasSuffix(req.URL.Path, "/git-receive-pack"):
		http.Error(w, "this repository cannot be pushed to here", http.StatusForbidden)
	default:
		http.NotFound(w, req)
	}
}

// serveRefs answers the first request of a fetch.
func (r *Repository) serveRefs(w http.ResponseWriter, req *http.Request, visible []string) {
	switch service := req.URL.Query().Get("service"); {
	case req.Method != http.MethodGet:
		notAllowed(w, http.MethodGet)
		return
	case service == "git-receive-pack":
		http.Error(w, "this repository cannot be pushed to here", http.StatusForbidden)
		return
	case service != uploadService:
		http.Error(w, "only smart HTTP is spoken here: use git 1.6.6 or newer", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "application/x-"+uploadService+"-advertisement")
	out := &served{w: w, control: http.NewResponseController(w)}
	if protocol(req) == "" { // version 2 begins without
		out.preface = "001e# service=" + uploadService + "\n0000"
	}
	r.upload(req, visible, nil, out, "--http-backend-info-refs")
}

// servePack answers what the client asks for.
func (r *Repository) servePack(w http.ResponseWriter, req *http.Request, visible []string) {
	if req.Method != http.MethodPost {
		notAllowed(w, http.MethodPost)
		return
	}
	if req.Header.Get("Content-Type") != "application/x-"+uploadService+"-request" {
		http.Error(w, "not a request of git", http.StatusUnsupportedMediaType)
		return
	}
	control := http.NewResponseController(w)
	body, err := unpacked(w, req, control)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-"+uploadService+"-result")
	r.upload(req, visible, body, &served{w: w, control: control})
}

// upload runs git's side of a fetch. Until git has said something the answer may
// still be an error; after that git says in its own protocol what went wrong, and
// a client notices an end that is missing.
func (r *Repository) upload(req *http.Request, visible []string, body io.Reader, out *served, more ...string) {
	ctx, cancel := context.WithTimeoutCause(req.Context(), serveWithin, errors.New("the fetch took too long"))
	defer cancel()
	// git's end does not end our reading of what the client never sends.
	stop := context.AfterFunc(ctx, func() { _ = out.control.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	c := command{
		options: visible, stdin: body, stdout: out,
		args: append(append([]string{"upload-pack", "--stateless-rpc", "--strict"}, more...), "--", r.commonDir),
	}
	if version := protocol(req); version != "" {
		c.env = []string{"GIT_PROTOCOL=" + version}
	}
	if _, err := r.run(ctx, c); err != nil && !out.begun {
		http.Error(out.w, "the repository cannot be read", http.StatusInternalServerError)
	}
}

// protocol is the version a client asks for, "" for one of before version 2. Of
// its header nothing else comes into git's environment.
func protocol(req *http.Request) string {
	for _, part := range strings.Split(req.Header.Get("Git-Protocol"), ":") {
		if part == "version=2" {
			return part
		}
	}
	return ""
}

// unpacked is a request's body, at most maxFetchRequest long.
func unpacked(w http.ResponseWriter, req *http.Request, control *http.ResponseController) (io.Reader, error) {
	body := http.MaxBytesReader(w, received{req.Body, control}, maxFetchRequest)
	switch req.Header.Get("Content-Encoding") {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		plain, err := gzip.NewReader(body)
		if err != nil {
			return nil, fmt.Errorf("unpack the request: %w", err)
		}
		return http.MaxBytesReader(w, plain, maxFetchRequest), nil
	}
	return nil, errors.New("the request is packed in a way that is not known here")
}

func notAllowed(w http.ResponseWriter, allowed string) {
	w.Header().Set("Allow", allowed)
	http.Error(w, "want "+allowed, http.StatusMethodNotAllowed)
}

// received reads a request. As with served, each piece has a time of its own.
type received struct {
	io.ReadCloser
	control *http.ResponseController
}

func (r received) Read(p []byte) (int, error) {
	_ = r.control.SetReadDeadline(time.Now().Add(serveIdle)) // where there is none, the server has its own
	return r.ReadCloser.Read(p)
}

// served writes an answer as git makes it. Each piece has a time of its own, so
// that a reader who has gone to sleep does not hold git for ever.
type served struct {
	w       http.ResponseWriter
	control *http.ResponseController
	preface string // before git's first bytes
	begun   bool
}

func (s *served) Write(p []byte) (int, error) {
	_ = s.control.SetWriteDeadline(time.Now().Add(serveIdle)) // where there is none, the server has its own
	if !s.begun {
		s.begun = true
		if _, err := io.WriteString(s.w, s.preface); err != nil {
			return 0, err
		}
	}
	n, err := s.w.Write(p)
	if err != nil {
		return n, fmt.Errorf("send: %w", err)
	}
	_ = s.control.Flush() // signs of life from git while it counts must get out
	return n, nil
}

package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/storage/blob"
)

// Blobs are what a server keeps for the attempts of all its repositories.
type Blobs struct {
	// Holds finds the assignment of the attempt under way that has a credential.
	Holds func(credential string) (dispatch.Assignment, bool)
	// Store opens what is kept for the repository of a build. It is not closed.
	Store func(ctx context.Context, of build.ID) (*blob.Store, error)
	Limit int64 // bytes of the largest content that is taken
}

// largestRecord bounds what an attempt may send about its artifacts, in bytes.
const largestRecord = 128 << 20

// An attemptAsks answers one attempt. An error is a statusError or the server's
// own.
type attemptAsks func(f *Front, w http.ResponseWriter, r *http.Request, a dispatch.Assignment, s *blob.Store) error

// asAttempt makes a route of what attempts may ask.
func asAttempt(serve attemptAsks) func(f *Front, w http.ResponseWriter, r *http.Request, _ *Server) {
	return func(f *Front, w http.ResponseWriter, r *http.Request, _ *Server) {
		user, credential, ok := r.BasicAuth()
		var a dispatch.Assignment
		if ok = ok && user == attemptUser && f.Blobs != nil; ok {
			a, ok = f.Blobs.Holds(credential)
		}
		if !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="velocity", charset="UTF-8"`)
			f.problem(w, http.StatusUnauthorized, errors.New("this needs the credential of an attempt under way"))
			return
		}
		store, err := f.Blobs.Store(r.Context(), a.Attempt.Build)
		if err == nil {
			err = serve(f, w, r, a, store)
		}
		if err == nil {
			return
		}
		if errors.Is(err, blob.ErrNone) {
			err = statusError{http.StatusNotFound, err}
		}
		if statusOf(err) == http.StatusInternalServerError {
			f.Log.Error("artifacts or caches", "attempt", a.Attempt.String(), "err", err)
		}
		f.problem(w, statusOf(err), err)
	}
}

// bodyOf is a request's body, whose sender must go on sending.
func bodyOf(w http.ResponseWriter, r *http.Request) io.Reader {
	return &steady{to: http.NewResponseController(w), r: r.Body}
}

// A steady reader gives up when nothing comes for too long.
type steady struct {
	to *http.ResponseController
	r  io.Reader
}

func (s *steady) Read(p []byte) (int, error) {
	_ = s.to.SetReadDeadline(time.Now().Add(bodyWithin)) // where a connection has none, none is needed
	return s.r.Read(p)
}

func (f *Front) putPack(w http.ResponseWriter, r *http.Request, _ dispatch.Assignment, s *blob.Store) error {
	switch {
	case r.ContentLength < 0:
		return statusError{http.StatusLengthRequired, errors.New("how long the content is must be said first")}
	case r.ContentLength > f.Blobs.Limit:
		return statusError{http.StatusRequestEntityTooLarge, fmt.Errorf("%d bytes packed are more than the server takes (blobs.limit: %d)", r.ContentLength, f.Blobs.Limit)}
	}
	err := s.Put(r.Context(), blob.Ref{SHA256: r.PathValue("sum"), Size: r.ContentLength}, bodyOf(w, r))
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (f *Front) keepArtifacts(w http.ResponseWriter, r *http.Request, a dispatch.Assignment, s *blob.Store) error {
	var kept api.Kept
	if !decodeUpTo(w, r, f.Log, &kept, largestRecord) {
		return nil
	}
	out := blob.Artifacts{
		Build: a.Attempt.Build.Number, Task: a.Attempt.Task, Attempt: a.Attempt.Number,
		Pack: blob.Ref{SHA256: kept.SHA256, Size: kept.Size},
	}
	for _, file := range kept.Files {
		out.Files = append(out.Files, blob.File(file))
	}
	if err := s.KeepArtifacts(r.Context(), out); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (f *Front) needed(w http.ResponseWriter, r *http.Request, a dispatch.Assignment, _ *blob.Store) error {
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil || n < 0 || n >= len(a.Needs) {
		return statusError{http.StatusForbidden, errors.New("the attempt does not need that")}
	}
	need := a.Needs[n]
	store, err := f.Blobs.Store(r.Context(), need.Of)
	if err != nil {
		return err
	}
	kept, err := store.Artifacts(r.Context(), need.Of.Number, need.Task)
	if err != nil {
		return err
	}
	if len(kept.Files) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	content, err := store.Open(r.Context(), kept.Pack)
	if err != nil {
		return err
	}
	return send(w, content, kept.Pack)
}

// send sends content. What turns out to be damaged on the way breaks off.
func send(w http.ResponseWriter, content io.ReadCloser, ref blob.Ref) error {
	defer content.Close()
	download(w, ref.Size)
	w.Header().Set(api.HeaderSum, ref.SHA256)
	if _, err := io.Copy(w, content); err != nil {
		panic(http.ErrAbortHandler) // the length was said already: no answer could tell
	}
	return nil
}

// download says that a browser shall store what follows, and do nothing else with
// it.
func download(w http.ResponseWriter, size int64) {
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", "attachment")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Content-Length", strconv.FormatInt(size, 10))
}

func (f *Front) cache(w http.ResponseWriter, r *http.Request, a dispatch.Assignment, s *blob.Store) error {
	if a.Caches == "" {
		return statusError{http.StatusForbidden, errors.New("the attempt has no caches")}
	}
	content, ref, err := s.OpenCache(r.Context(), string(a.Caches), r.PathValue("name"))
	if err != nil {
		return err
	}
	return send(w, content, ref)
}

func (f *Front) keepCache(w http.ResponseWriter, r *http.Request, a dispatch.Assignment, s *blob.Store) error {
	if a.Caches == "" || !a.CacheWrite {
		return statusError{http.StatusForbidden, errors.New("the attempt may not keep caches")}
	}
	var kept api.Kept
	if !decodeUpTo(w, r, f.Log, &kept, largestBody) {
		return nil
	}
	err := s.KeepCache(r.Context(), string(a.Caches), r.PathValue("name"), blob.Ref{SHA256: kept.SHA256, Size: kept.Size})
	if err != nil && !errors.Is(err, blob.ErrKept) { // somebody else's is as good
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

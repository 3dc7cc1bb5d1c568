package web

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/architect/build"
)

// A stream sends updates to one follower, who is told first what a trigger was
// answered with, then how its builds stand and what they print, one build after
// the other.
type stream struct {
	s     *Server
	enc   *json.Encoder
	flush func()
}

func (s *Server) stream(w http.ResponseWriter) *stream {
	w.Header().Set("Content-Type", "application/x-ndjson")
	rc := http.NewResponseController(w)
	return &stream{s: s, enc: json.NewEncoder(w), flush: func() { _ = rc.Flush() }} // a follower that is gone shows at the next line
}

func (s *Server) followTrigger(w http.ResponseWriter, r *http.Request) {
	s.Site.Wake()
	answer, ok, err := s.Architect.Answered(r.Context(), s.Site, r.PathValue("id"))
	if err != nil {
		return // the follower is gone, or the server ends: it will ask again
	}
	if !ok {
		answer.Note = "this trigger was dealt with before"
	}
	out := api.Answer{Note: answer.Note}
	for _, b := range answer.Builds {
		out.Builds = append(out.Builds, b.String())
	}
	st := s.stream(w)
	if st.send(api.Update{Answer: &out}) == nil {
		st.builds(r.Context(), answer.Builds)
	}
}

func (s *Server) followBuild(w http.ResponseWriter, r *http.Request) {
	b, err := s.lookUp(r.Context(), r.PathValue("id"))
	if err != nil {
		s.problem(w, http.StatusNotFound, err)
		return
	}
	s.stream(w).builds(r.Context(), []build.ID{b.ID})
}

func (st *stream) send(u api.Update) error {
	if err := st.enc.Encode(u); err != nil {
		return err
	}
	st.flush()
	return nil
}

// builds sends builds to their end. If it cannot, the stream breaks off without
// its last line, and the follower knows.
func (st *stream) builds(ctx context.Context, ids []build.ID) {
	for _, id := range ids {
		if err := st.build(ctx, id); err != nil {
			st.s.Log.Debug("follower left", "build", id.String(), "err", err)
			return
		}
	}
	_ = st.send(api.Update{End: true}) // a follower that is gone needs no end
}

func (st *stream) build(ctx context.Context, id build.ID) error {
	if v, ok := st.s.Architect.Await(ctx, id); ok {
		defer v.Close()
		if err := v.Follow(ctx, st); err != nil {
			return err
		}
	} else if err := st.archived(ctx, id); err != nil {
		return err
	}
	return st.send(api.Update{Over: id.String()})
}

// pieceSize bounds a piece of a stored log, in bytes.
const pieceSize = 256 << 10

// archived sends a build that is no longer in the architect's hands, and what it
// printed.
func (st *stream) archived(ctx context.Context, id build.ID) error {
	b, err := st.s.Desk.Find(ctx, id.String())
	if err != nil {
		return err
	}
	if err := st.Build(b); err != nil {
		return err
	}
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			if err := st.stored(ctx, b, &b.Stages[i].Tasks[j]); err != nil {
				return err
			}
		}
	}
	return nil
}

// stored sends the log of a task that is over.
func (st *stream) stored(ctx context.Context, b *build.Build, t *build.Task) error {
	text, err := st.s.Desk.Log(ctx, b.ID, t.Key, t.Attempt)
	if err != nil {
		return err
	}
	offset := int64(0)
	for piece := range slices.Chunk(text, pieceSize) {
		if err := st.Log(b, t, offset, piece); err != nil {
			return err
		}
		offset += int64(len(piece))
	}
	return nil
}

// Build implements architect.Viewer.
func (st *stream) Build(b *build.Build) error {
	data, err := st.s.Encode(b)
	if err != nil {
		return err
	}
	return st.send(api.Update{Build: data})
}

// Log implements architect.Viewer.
func (st *stream) Log(b *build.Build, t *build.Task, offset int64, data []byte) error {
	return st.send(api.Update{Log: &api.Log{Build: b.ID.String(), Task: t.Key, Attempt: t.Attempt, Offset: offset, Data: data}})
}

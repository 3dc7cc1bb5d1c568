package web

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// longestSession is how long a browser stays signed in with a token that does not
	// end before.
	longestSession = 30 * 24 * time.Hour
	// longestVisit is the same for a login on a forge: its word is asked for anew every
	// day.
	longestVisit = 24 * time.Hour
)

// Sessions are how browsers are known again. A session is for one API token, or for
// one person who signed in with a forge, and ends with the token, or with the one that
// the forge gave for the person.
//
// What a session is stands in the browser's cookie, sealed with a key that only the
// server has. So it outlives this process, and no store holds what opens forges: who
// reads the server's disk finds no token of anybody, and who has the browser finds
// nothing to read. Kept here are only those that were ended before their time. They
// are safe for concurrent use; the fields must not change.
type Sessions struct {
	Key    []byte // secret that the keys of seals are derived from
	Secure bool   // browsers reach us by https

	mu    sync.Mutex
	ended map[string]time.Time // ids of sessions, with when they would have ended
}

// A session is what a cookie says once it is unsealed.
type session struct {
	id     string
	token  string // id of an API token; "" for a person
	person *Person
	until  time.Time
}

// A sessionRecord is a session in the form in which it is sealed.
type sessionRecord struct {
	ID     string        `json:"id"`
	Token  string        `json:"token,omitempty"`
	Person *personRecord `json:"person,omitempty"`
	Until  int64         `json:"until"` // seconds since 1970
}

type personRecord struct {
	Forge string `json:"forge"`
	ID    int64  `json:"id"`
	Login string `json:"login"`
	Token string `json:"token"`
}

// What a seal is for. One that was made for one purpose opens for no other.
const (
	sealOfSession = "velocity/1 session"
	sealOfSignIn  = "velocity/1 sign-in"
)

// cookie is a name. The prefix makes browsers refuse one that did not come from this
// very host by https.
func (s *Sessions) cookie(name string) string {
	if s.Secure {
		return "__Host-" + name
	}
	return name
}

// Names of cookies.
const (
	sessionCookie = "velocity"
	signInCookie  = "velocity-sign-in"
)

// write is the value of a session.
func (s *Sessions) write(of session) (string, error) {
	r := sessionRecord{ID: of.id, Token: of.token, Until: of.until.Unix()}
	if p := of.person; p != nil {
		r.Person = &personRecord{Forge: p.Forge, ID: p.ID, Login: p.Login, Token: p.Token}
	}
	return s.seal(sealOfSession, r)
}

// read is the session of a value; ok is false if it is none, or over.
func (s *Sessions) read(value string, now time.Time) (of session, ok bool) {
	var r sessionRecord
	if !s.open(sealOfSession, value, &r) {
		return session{}, false
	}
	of = session{id: r.ID, token: r.Token, until: time.Unix(r.Until, 0)}
	if p := r.Person; p != nil {
		of.person = &Person{Forge: p.Forge, ID: p.ID, Login: p.Login, Token: p.Token}
	}
	return of, now.Before(of.until) && !s.isEnded(of.id)
}

// seal makes a text of a value that nobody else can read or change.
func (s *Sessions) seal(purpose string, v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("seal for a cookie: %w", err)
	}
	box, err := s.box(purpose)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(box.Seal(nil, nil, text, nil)), nil
}

// open reads what seal made for the same purpose, and reports whether that is what it
// was given.
func (s *Sessions) open(purpose, text string, into any) bool {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return false
	}
	box, err := s.box(purpose)
	if err != nil {
		return false
	}
	plain, err := box.Open(nil, nil, sealed, nil)
	return err == nil && json.Unmarshal(plain, into) == nil
}

func (s *Sessions) box(purpose string) (cipher.AEAD, error) {
	const keySize = 32 // AES-256
	key, err := hkdf.Key(sha256.New, s.Key, nil, purpose, keySize)
	if err != nil {
		return nil, fmt.Errorf("derive the key of a seal: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("derive the key of a seal: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// set gives a browser a cookie until then, or takes it away with "".
func (s *Sessions) set(w http.ResponseWriter, name, value string, within time.Duration) {
	seconds := int(within.Seconds())
	if value == "" {
		seconds = -1
	}
	http.SetCookie(w, &http.Cookie{
		Name: s.cookie(name), Value: value, Path: "/", MaxAge: seconds,
		HttpOnly: true, Secure: s.Secure, SameSite: http.SameSiteLaxMode,
	})
}

// maxEnded bounds how many ended sessions are remembered. Beyond it the oldest is
// forgotten, whose token was given back to its forge, too.
const maxEnded = 10_000

// end ends a session before its time, wherever its cookie was copied to.
func (s *Sessions) end(of session, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = map[string]time.Time{}
	}
	oldest := of.id
	s.ended[of.id] = of.until
	if len(s.ended) <= maxEnded {
		return
	}
	for id, until := range s.ended {
		if !now.Before(until) {
			delete(s.ended, id)
		} else if until.Before(s.ended[oldest]) {
			oldest = id
		}
	}
	if len(s.ended) > maxEnded {
		delete(s.ended, oldest)
	}
}

func (s *Sessions) isEnded(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ended := s.ended[id]
	return ended
}

// begin gives a browser a new session, whatever it had before: nobody can have chosen
// it for them.
func (f *Front) begin(w http.ResponseWriter, of session) error {
	of.id = rand.Text()
	value, err := f.Sessions.write(of)
	if err != nil {
		return err
	}
	f.Sessions.set(w, sessionCookie, value, of.until.Sub(f.Now()))
	return nil
}

// sessionOf is the session that a request brings.
func (f *Front) sessionOf(r *http.Request) (session, bool) {
	if f.Sessions == nil {
		return session{}, false
	}
	cookie, err := r.Cookie(f.Sessions.cookie(sessionCookie))
	if err != nil {
		return session{}, false
	}
	return f.Sessions.read(cookie.Value, f.Now())
}

// visitor is who asks by the session that a request brings: an API token, or a person
// for whom a forge answers. The error is errNoToken, or roster.ErrRefused.
func (f *Front) visitor(r *http.Request) (caller, error) {
	of, ok := f.sessionOf(r)
	switch {
	case !ok:
		return caller{}, errNoToken
	case of.person != nil && f.People == nil:
		return caller{}, errNoToken // of a forge that is not configured any more
	case of.person != nil:
		return caller{person: of.person, session: of.id, until: of.until}, nil
	}
	token, err := f.Roster.Token(r.Context(), of.token)
	return caller{token: token, session: of.id, until: token.Expires}, err
}

package server

import (
	"crypto/subtle"
	"encoding/base64"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/velocity-ci/velocity/architect/dispatch"
)

// architectUser is the architect's name towards NATS. No builder can be called
// so in a subject, but a name is not what makes the architect: its password is.
const architectUser = "ARCHITECT"

// Check decides who a connection is. It is for the NATS server, which closes the
// connection unless the answer is true. A connection that is known gets the
// permissions of its name and nothing else.
//
// One builder has one connection. A newer one takes over and the older is
// closed: after a partition the builder comes back while its dead connection
// still counts as alive here. Two machines with one key therefore push each other
// out again and again, which the log shows.
func (s *Server) Check(c server.ClientAuthentication) bool {
	o := c.GetOpts()
	if o.Username == architectUser && o.Nkey == "" {
		if subtle.ConstantTimeCompare([]byte(o.Password), []byte(s.password)) != 1 {
			return false
		}
		c.RegisterUser(user(architectUser, dispatch.ArchitectPermissions()))
		return true
	}
	if !signed(o, c.GetNonce()) {
		s.log.Debug("connection without a proof refused")
		return false
	}
	name, older, ok := s.admit(o.Nkey, c.GetID())
	if !ok {
		s.log.Warn("connection with an unknown key refused", "key", o.Nkey)
		return false
	}
	if older != 0 {
		s.log.Warn("builder connected again, its older connection is closed", "builder", name)
		_ = s.nats.DisconnectClientByID(older) // fails only if it is gone
	}
	c.RegisterUser(user(name, dispatch.BuilderPermissions(name)))
	s.log.Debug("builder connected", "builder", name)
	return true
}

// admit looks a key up and remembers its connection in one step, so that no
// Disconnect comes between them.
func (s *Server) admit(key string, id uint64) (name string, older uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, ok = s.options.Builder(key)
	if !ok || !dispatch.ValidName(name) {
		return "", 0, false
	}
	if older = s.connected[name]; older == id { // a connection may prove itself again
		older = 0
	}
	s.connected[name] = id
	return name, older, true
}

// signed tells whether a client has the key it names. nonce is the server's, new
// for each connection.
func signed(o *server.ClientOpts, nonce []byte) bool {
	if len(nonce) == 0 || !nkeys.IsValidPublicUserKey(o.Nkey) {
		return false
	}
	key, err := nkeys.FromPublicKey(o.Nkey)
	if err != nil {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(o.Sig)
	return err == nil && key.Verify(nonce, signature) == nil
}

func user(name string, p dispatch.Permissions) *server.User {
	permissions := &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: p.Publish},
		Subscribe: &server.SubjectPermission{Allow: p.Subscribe},
	}
	if name != architectUser { // it asks nothing that the architect would not hear of by itself
		permissions.Response = &server.ResponsePermission{MaxMsgs: 1, Expires: dispatch.RespondWithin}
	}
	return &server.User{Username: name, Permissions: permissions}
}

package dispatch

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// signedFor is how far an assignment's date may be from the builder's clock, both
// ways. Wide, since the clocks of two machines differ and a wrong clock should
// cost nothing: what is replayed within it meets the attempt's number, which the
// architect has moved on from.
const signedFor = 10 * time.Minute

// headerSignature carries the architect's signature over an assignment's data as
// it was sent, in unpadded base64.
const headerSignature = "Velocity-Signature"

// offer is the body of an assign request: an assignment whose secrets are sealed.
type offer struct {
	Issued     time.Time
	Assignment Assignment // Values and Credential are in Sealed
	Sender     string     // the public half of the key that Sealed was made with
	Sealed     []byte
}

// secrets are the parts of an assignment that only its builder may read.
type secrets struct {
	Values     map[string]string
	Credential string
}

// statement is what is signed. It names the purpose, the version and the builder,
// so that the signature of one message is worth nothing for another.
func statement(builder string, data []byte) []byte {
	return append(fmt.Appendf(nil, "velocity assignment\x00%d\x00%s\x00", wireVersion, builder), data...)
}

// encodeOffer seals an assignment's secrets to the builder's curve key and signs
// the whole for this builder.
func encodeOffer(s *Signer, builder, curve string, a Assignment, now time.Time) (*nats.Msg, error) {
	o := offer{Issued: now.UTC(), Assignment: a}
	o.Assignment.Values, o.Assignment.Credential = nil, ""
	var err error
	if o.Sender, o.Sealed, err = seal(secrets{a.Values, a.Credential}, curve); err != nil {
		return nil, err
	}
	m := nats.NewMsg(subject(builder, verbAssign))
	if m.Data, err = encode(o); err != nil {
		return nil, err
	}
	signature, err := s.pair.Sign(statement(builder, m.Data))
	if err != nil {
		return nil, fmt.Errorf("sign the assignment: %w", err)
	}
	m.Header.Set(headerSignature, base64.RawStdEncoding.EncodeToString(signature))
	return m, nil
}

// seal encrypts to a public curve key with a key that is forgotten at once.
func seal(s secrets, curve string) (sender string, sealed []byte, err error) {
	once, err := nkeys.CreateCurveKeys()
	if err != nil {
		return "", nil, fmt.Errorf("make a key to seal with: %w", err)
	}
	defer once.Wipe()
	plain, err := json.Marshal(s)
	if err != nil {
		return "", nil, fmt.Errorf("encode secrets: %w", err)
	}
	if sealed, err = once.Seal(plain, curve); err != nil {
		return "", nil, fmt.Errorf("seal secrets to the builder's curve key: %w", err)
	}
	if sender, err = once.PublicKey(); err != nil {
		return "", nil, fmt.Errorf("make a key to seal with: %w", err)
	}
	return sender, sealed, nil
}

// open is seal's other side.
func (k *Keys) open(sender string, sealed []byte) (s secrets, err error) {
	plain, err := k.curve.Open(sealed, sender)
	if err != nil {
		return s, fmt.Errorf("open secrets: %w", err)
	}
	if err := json.Unmarshal(plain, &s); err != nil {
		return s, fmt.Errorf("decode secrets: %w", err)
	}
	return s, nil
}

// decodeOffer returns the assignment only if it was signed by the architect that
// the builder registered with, for this builder, a short time ago. All its errors
// are *RefusedError: the attempt goes elsewhere.
func decodeOffer(t Trust, builder string, m *nats.Msg) (Assignment, error) {
	refuse := func(format string, args ...any) (Assignment, error) {
		return Assignment{}, &RefusedError{Reason: fmt.Sprintf(format, args...)}
	}
	architect, err := nkeys.FromPublicKey(t.Architect)
	if err != nil {
		return refuse("the architect's public key in this builder's registration: %v", err)
	}
	signature, err := base64.RawStdEncoding.DecodeString(m.Header.Get(headerSignature))
	if err != nil || len(signature) == 0 || architect.Verify(statement(builder, m.Data), signature) != nil {
		return refuse("the assignment is not signed for builder %s by the architect it registered with", builder)
	}
	o, err := decode[offer](m.Data)
	if err != nil {
		return refuse("%v", err)
	}
	if age := t.now().Sub(o.Issued); age > signedFor || age < -signedFor {
		return refuse("the assignment is dated %s, more than %s from this builder's clock; compare the clocks of both machines",
			o.Issued.Format(time.RFC3339), signedFor)
	}
	s, err := t.Keys.open(o.Sender, o.Sealed)
	if err != nil {
		return refuse("%v", err)
	}
	o.Assignment.Values, o.Assignment.Credential = s.Values, s.Credential
	return o.Assignment, nil
}

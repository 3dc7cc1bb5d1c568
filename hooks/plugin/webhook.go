package plugin

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Webhook sends events as they are, signed in the manner of Standard Webhooks.
type Webhook struct {
	Client *http.Client
	URL    string
	Key    []byte // nil: nothing is signed
	Now    func() time.Time
}

// keyPrefix is before a signing key as people are given it.
const keyPrefix = "whsec_"

// The lengths of signing keys, in bytes, that Standard Webhooks know.
const (
	minKey = 24
	maxKey = 64
)

// ParseKey reads a signing key: whsec_ and base64 of 24 to 64 bytes. No error tells
// it.
func ParseKey(text string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), keyPrefix)
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if !ok || err != nil || len(key) < minKey || len(key) > maxKey {
		return nil, errors.New("it is no signing key: whsec_ and base64 of 24 to 64 bytes are")
	}
	return key, nil
}

// Send implements Sender.
func (w *Webhook) Send(ctx context.Context, e *Event) error {
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode the event: %w", err)
	}
	header := http.Header{}
	header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	header.Set("User-Agent", "velocity")
	at := strconv.FormatInt(w.Now().Unix(), 10)
	header.Set("Webhook-Id", e.ID)
	header.Set("Webhook-Timestamp", at)
	if w.Key != nil {
		header.Set("Webhook-Signature", "v1,"+sign(w.Key, e.ID, at, body))
	}
	return post(ctx, w.Client, w.URL, body, header)
}

// sign is the signature of a message.
func sign(key []byte, id, at string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.", id, at)
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

// Limits of one request.
const (
	requestLimit = 10 * time.Second
	maxAnswer    = 64 << 10 // bytes that are read of an answer, none of which matters
)

// NewClient is a client for plugins. It follows no redirect, asks no proxy and keeps
// no connection. control, unless nil, is asked for each connection once its address
// is final; its error ends the try.
func NewClient(control func(network, address string, c syscall.RawConn) error) *http.Client {
	dialer := &net.Dialer{Timeout: requestLimit, Control: control}
	return &http.Client{
		Timeout: requestLimit,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
			MaxResponseHeaderBytes: 64 << 10, DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// post sends a body and returns nil once it was taken. The address may be a secret:
// no error tells it.
func post(ctx context.Context, client *http.Client, address string, body []byte, header http.Header) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return refuse("its address is none")
	}
	request.Header = header
	response, err := client.Do(request)
	if err != nil {
		var about *url.Error
		if errors.As(err, &about) {
			err = about.Err
		}
		return fmt.Errorf("no answer: %w", err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
	switch code := response.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusGone, code >= 300 && code < 400:
		return refuse("it answered %s", status(code))
	default:
		return fmt.Errorf("it answered %s", status(code))
	}
}

// status is an answer in our words: its own are somebody else's.
func status(code int) string { return fmt.Sprintf("%d %s", code, http.StatusText(code)) }

// CheckURL accepts the addresses that a plugin can be told at: https, or http where
// plain says so, without a user.
func CheckURL(address string, plain bool) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return errors.New("it is no address: https://HOST/PATH is one") // not err, which has the address in it
	case u.User != nil:
		return errors.New("a user or password cannot be in the address")
	case u.Scheme == "https" || plain && u.Scheme == "http":
		return nil
	}
	return fmt.Errorf("%.20q is not spoken: https is", u.Scheme)
}

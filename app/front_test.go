package app_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/client"
)

// certify is a command of scripts, `certify CERTIFICATE KEY`: it makes a
// certificate of 127.0.0.1 that is its own authority.
func certify(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: certify CERTIFICATE KEY")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	ts.Check(err)
	spec := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "velocity test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, spec, spec, &key.PublicKey, key)
	ts.Check(err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
}

var listenLine = regexp.MustCompile(`msg=listening address=(127\.0\.0\.1:\d+) tls=`)

// listening is a command of scripts, `listening LOG VARIABLE`: it waits until a
// server's log says where it listens, and puts HOST:PORT into the variable.
func listening(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: listening LOG VARIABLE")
	}
	until(ts, "a server that listens", func() error {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err != nil {
			return err
		}
		m := listenLine.FindSubmatch(text)
		if m == nil {
			return errors.New(string(text))
		}
		ts.Setenv(args[1], string(m[1]))
		return nil
	})
}

// keep is a command of scripts, `keep VARIABLE`: it puts what the last command
// printed, without its end of line, into the variable.
func keep(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: keep VARIABLE")
	}
	text := ts.ReadFile("stdout")
	if n := len(text); n > 0 && text[n-1] == '\n' {
		text = text[:n-1]
	}
	ts.Setenv(args[0], text)
}

// registerBuilder is a program of scripts, `register URL NAME KEY TOKEN`: it asks
// a server to enter a builder, whose key differs from others' by one letter, and
// prints the answer.
func registerBuilder(args []string) int {
	if len(args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: register URL NAME KEY TOKEN")
		return 2
	}
	u, err := client.ParseServer(args[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	told, err := client.Register(context.Background(), u, nil, api.Register{
		Token: args[3], Name: args[1], Public: "U" + strings.Repeat(args[2], 55), Curve: "X" + strings.Repeat("A", 55),
		Labels: map[string]string{"os": "linux"}, Executors: []string{"docker"}, Version: "1.0",
	})
	var refused *client.StatusError
	status, answer := 200, any(told)
	switch {
	case errors.As(err, &refused):
		status, answer = refused.Status, api.Problem{Message: refused.Message}
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	text, err := json.Marshal(answer)
	fmt.Println(status, string(text))
	if err != nil {
		return 3
	}
	return 0
}

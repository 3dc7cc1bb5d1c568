package app

import (
	"cmp"
	"crypto/x509"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// envCA is the variable that stands for --ca.
const envCA = "VELOCITY_CA"

// caFlag adds --ca.
func caFlag(cmd *cobra.Command, more string) *string {
	return cmd.Flags().String("ca", "", "PEM `file` of the authority that signed the server's certificate ("+envCA+"; default: those that this machine knows)"+more)
}

// maxAuthorities bounds a file of certificates, in bytes.
const maxAuthorities = 1 << 20

// readAuthorities reads a file of certificates of authorities; "" is none. The
// text is kept where a connection is remembered, so that the file need not stay.
func readAuthorities(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	file, err := os.Open(path)
	if err != nil {
		return "", usage("read the authority's certificate: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxAuthorities))
	if err != nil {
		return "", usage("read the authority's certificate: %w", err)
	}
	if _, err := authorities(string(text)); err != nil {
		return "", usage("%s: %w", path, err)
	}
	return string(text), nil
}

// authorities are those whose certificates a text holds in PEM; nil, for those of
// the machine, if it is "".
func authorities(text string) (*x509.CertPool, error) {
	if text == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(text)) {
		return nil, errors.New("there is no certificate in it: PEM begins with -----BEGIN CERTIFICATE-----")
	}
	return pool, nil
}

// caNamed is the text of the file that a flag or the variable names; "" if none
// does.
func (c *cli) caNamed(flag string) (string, error) {
	return readAuthorities(cmp.Or(flag, c.env[envCA]))
}

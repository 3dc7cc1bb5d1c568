package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// loginsVersion is the version of the file of tokens.
const loginsVersion = 1

// The tokens of velocity login, by server, and the authorities (PEM) that were
// given for servers whose certificates this machine does not know.
type loginsRecord struct {
	Version     int               `json:"version"`
	Servers     map[string]string `json:"servers"`
	Authorities map[string]string `json:"authorities,omitempty"`
}

// loginsPath is the file of tokens in the user's configuration folder.
func (c *cli) loginsPath() (string, error) {
	base := c.env["XDG_CONFIG_HOME"]
	if base == "" {
		if c.env["HOME"] == "" {
			return "", usage("there is no home folder to keep tokens in").hint("the variable %s gives one", envToken)
		}
		base = filepath.Join(c.env["HOME"], ".config")
	}
	return filepath.Join(base, "velocity", "servers.json"), nil
}

// logins reads the tokens and authorities by server.
func (c *cli) logins() (loginsRecord, error) {
	r := loginsRecord{Version: loginsVersion, Servers: map[string]string{}, Authorities: map[string]string{}}
	path, err := c.loginsPath()
	if err != nil {
		return r, err
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("read tokens: %w", err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, usage("%s is damaged: %w", path, err).hint("remove it and log in again")
	}
	if r.Version != loginsVersion {
		return r, usage("%s has version %d, this program reads %d", path, r.Version, loginsVersion)
	}
	return r, nil
}

// keepLogin stores a token, for this user's eyes only, and the authority of the
// server if it needs one.
func (c *cli) keepLogin(server, token, authority string) (path string, err error) {
	known, err := c.logins()
	if err != nil {
		return "", err
	}
	known.Servers[server] = token
	if delete(known.Authorities, server); authority != "" {
		known.Authorities[server] = authority
	}
	data, err := json.MarshalIndent(known, "", "  ")
	if err != nil {
		return "", err
	}
	if path, err = c.loginsPath(); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("keep the token: %w", err)
	}
	if err := keepPrivate(path, append(data, '\n'), os.Rename); err != nil {
		return "", fmt.Errorf("keep the token: %w", err)
	}
	return path, nil
}

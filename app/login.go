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

// The tokens of velocity login, by server.
type loginsRecord struct {
	Version int               `json:"version"`
	Servers map[string]string `json:"servers"`
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

// logins reads the tokens by server.
func (c *cli) logins() (map[string]string, error) {
	path, err := c.loginsPath()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read tokens: %w", err)
	}
	var r loginsRecord
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, usage("%s is damaged: %w", path, err).hint("remove it and log in again")
	}
	if r.Version != loginsVersion {
		return nil, usage("%s has version %d, this program reads %d", path, r.Version, loginsVersion)
	}
	if r.Servers == nil {
		r.Servers = map[string]string{}
	}
	return r.Servers, nil
}

// keepLogin stores a token, for this user's eyes only.
func (c *cli) keepLogin(server, token string) (path string, err error) {
	known, err := c.logins()
	if err != nil {
		return "", err
	}
	known[server] = token
	data, err := json.MarshalIndent(loginsRecord{Version: loginsVersion, Servers: known}, "", "  ")
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

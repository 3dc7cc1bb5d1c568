package git

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// An Access is how a remote is reached that is not a user's own.
type Access struct {
	Transports []string   // beyond https and ssh, as in FetchOptions
	Credential Credential // over http; the zero value is none
	Key        string     // the file of a private key, over ssh; "" is none
}

// access is an Access as git is given it.
type access struct {
	key           string // of the remote
	settings, env []string
}

// RemoteAt is the remote at an address, reached in one way alone: nothing of a user's
// configuration, credentials or keys is tried, and no redirect is followed. Hosts of
// ssh have to be known to this user. The remote goes by the key in names of refs and
// files, wherever its address is by then; the key is not empty and at most 40 bytes
// long.
func (r *Repository) RemoteAt(address, key string, a Access) (*Remote, error) {
	settings, err := checkSource(address, a.Transports)
	if err != nil {
		return nil, err
	}
	if key == "" || len(key) > maxKey/3 {
		return nil, fmt.Errorf("a remote cannot go by %.50q", key)
	}
	http, env, err := FetchOptions{Credential: a.Credential}.access(address)
	if err != nil {
		return nil, err
	}
	if a.Key != "" {
		if !strings.HasPrefix(address, "ssh://") {
			return nil, errors.New("a key is for an ssh address")
		}
		env = append(env, "GIT_SSH_COMMAND="+sshWith(a.Key))
	}
	return &Remote{repo: r, target: address, access: &access{key: key, settings: slices.Concat(settings, http), env: env}}, nil
}

// sshWith is the command, for a shell, that shows one key and asks nobody anything.
func sshWith(key string) string {
	quoted := "'" + strings.ReplaceAll(key, "'", `'\''`) + "'"
	return "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes -oIdentitiesOnly=yes -oForwardAgent=no -i " + quoted
}

package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/client"
	"github.com/velocity-ci/velocity/architect/dispatch"
)

// credentialFile is what a builder was registered with, in its state folder.
const credentialFile = "credential.json"

// credentialVersion stands in the file; others are not read.
const credentialVersion = 1

// agentStateFlag adds --state.
func (c *cli) agentStateFlag(cmd *cobra.Command) *string {
	state := c.env["VELOCITY_BUILDER_STATE"]
	if state == "" {
		base := c.env["XDG_STATE_HOME"]
		if base == "" && c.env["HOME"] != "" {
			base = filepath.Join(c.env["HOME"], ".local", "state")
		}
		state = filepath.Join(base, "velocity", "builder")
	}
	flag := cmd.Flags().String("state", state, "`folder` for the builder's credential, mirrors, workspaces and logs")
	cmd.Flags().Lookup("state").DefValue = "$XDG_STATE_HOME/velocity/builder"
	return flag
}

// A credential is who a builder is and whom it works for. Its seeds are secret.
type credential struct {
	Version   int    `json:"version"`
	Name      string `json:"name"`
	Server    string `json:"server"`              // the architect's address
	NATS      string `json:"nats"`                // a path of the server, or addresses of a cluster
	Authority string `json:"authority,omitempty"` // PEM, of the server's certificate; "" for those that the machine knows
	// ClusterAuthority is the same for the addresses of a cluster.
	ClusterAuthority string `json:"clusterAuthority,omitempty"`
	Architect        string `json:"architect"` // public key of the signatures under assignments
	Seed             string `json:"seed"`
	CurveSeed        string `json:"curveSeed"`
}

// save writes the credential so that only this user can read it.
func (cr *credential) save(state string) error {
	cr.Version = credentialVersion
	data, err := json.MarshalIndent(cr, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the credential: %w", err)
	}
	// The token is used up by now: what a power cut takes needs a new one.
	if err := keepPrivate(filepath.Join(state, credentialFile), append(data, '\n'), os.Rename); err != nil {
		return fmt.Errorf("store the credential: %w", err)
	}
	return nil
}

// registered reports whether the folder holds a credential.
func registered(state string) bool {
	_, err := os.Lstat(filepath.Join(state, credentialFile))
	return !errors.Is(err, fs.ErrNotExist)
}

// loadCredential reads what save wrote, and the keys in it.
func loadCredential(state string) (*credential, *dispatch.Keys, error) {
	path := filepath.Join(state, credentialFile)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, usage("this builder is not registered: there is no %s", path).
			hint("velocity builder register https://HOST --token TOKEN")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the credential: %w", err)
	}
	if open := info.Mode().Perm() & 0o077; open != 0 {
		return nil, nil, usage("%s can be read by others (mode %04o): its keys are not secret any more", path, info.Mode().Perm()).
			hint("register again with --force, or chmod 600 it if you know that nobody has read it")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read the credential: %w", err)
	}
	cr := &credential{}
	if err := json.Unmarshal(data, cr); err != nil {
		return nil, nil, usage("%s is damaged: %w", path, err).hint("register again with --force")
	}
	if cr.Version != credentialVersion {
		return nil, nil, usage("%s has version %d, this program knows %d", path, cr.Version, credentialVersion)
	}
	keys, err := dispatch.ParseKeys(cr.Seed, cr.CurveSeed)
	if err != nil {
		return nil, nil, usage("%s is damaged: %w", path, err).hint("register again with --force")
	}
	return cr, keys, nil
}

// identity is the builder's name for the things it makes on its machine, where
// another one of the same name may work for another architect.
func (cr *credential) identity(public string) string {
	return cr.Name + "." + strings.ToLower(public[max(0, len(public)-8):])
}

// onCluster reports whether the builder meets its architect on a NATS cluster,
// and not at the architect's own address, which is told as a path or, by a server
// that knows how it is reached, whole.
func (cr *credential) onCluster() bool { return !strings.HasSuffix(cr.NATS, natsPath) }

// natsURL is where the builder connects: one address, or those of a cluster with
// commas between them.
func (cr *credential) natsURL() (string, error) {
	if !strings.HasPrefix(cr.NATS, "/") {
		return cr.NATS, nil
	}
	u, err := client.ParseServer(cr.Server)
	if err != nil {
		return "", err
	}
	u.Scheme = map[string]string{"https": "wss", "http": "ws"}[u.Scheme]
	return u.JoinPath(cr.NATS).String(), nil
}

// authorityFile is the authority of the server in a file below the state, for
// git; "" if there is none of its own.
func (cr *credential) authorityFile(state string) (string, error) {
	if cr.Authority == "" {
		return "", nil
	}
	path, err := filepath.Abs(filepath.Join(state, "authority.pem")) // git runs elsewhere
	if err != nil {
		return "", fmt.Errorf("store the authority's certificate: %w", err)
	}
	if err := keepPrivate(path, []byte(cr.Authority), os.Rename); err != nil {
		return "", fmt.Errorf("store the authority's certificate: %w", err)
	}
	return path, nil
}

// source is where a repository of the architect is fetched from.
func (cr *credential) source(a dispatch.Assignment) (string, error) {
	if a.Repository == "" || strings.ContainsAny(a.Repository, "\\\x00") {
		return "", fmt.Errorf("%q is no repository of %s", a.Repository, cr.Server)
	}
	u, err := client.ParseServer(cr.Server)
	if err != nil {
		return "", err
	}
	path := []string{"git"}
	for part := range strings.SplitSeq(a.Repository, "/") {
		if part == "" || part == "." || part == ".." {
			return "", fmt.Errorf("%q is no repository of %s", a.Repository, cr.Server)
		}
		path = append(path, url.PathEscape(part))
	}
	return u.JoinPath(path...).String(), nil
}

// lockState makes the folder this process' own; two builders in one would take
// each other's leftovers away.
func lockState(state string) (unlock func() error, err error) {
	file, err := os.OpenFile(filepath.Join(state, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the state folder: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(usage("another builder runs in %s", state).hint("--state DIR names a folder of its own"), file.Close())
	}
	// A process that is being started has the file, too, until it is another program:
	// to close it here would not be enough.
	return func() error { return errors.Join(syscall.Flock(int(file.Fd()), syscall.LOCK_UN), file.Close()) }, nil
}

// makeState makes the folders that a builder works in.
func makeState(state string) error {
	for _, sub := range []string{"", "spool"} {
		if err := os.MkdirAll(filepath.Join(state, sub), 0o700); err != nil {
			return fmt.Errorf("make the state folder: %w", err)
		}
	}
	return nil
}

package app

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/storage/roster"
)

// A fleet is the registered builders as a server knows them by heart: whoever
// connects is looked up in it, and it must not wait for anything then.
type fleet struct {
	mu       sync.Mutex
	byPublic map[string]roster.Builder
	byName   map[string]roster.Builder
}

func (f *fleet) learn(builders []roster.Builder) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.byPublic, f.byName = map[string]roster.Builder{}, map[string]roster.Builder{}
	for _, b := range builders {
		f.byName[b.Name] = b
		if !b.Revoked {
			f.byPublic[b.Public] = b
		}
	}
}

func (f *fleet) builderOf(public string) (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.byPublic[public]
	return b.Name, ok
}

func (f *fleet) curveOf(name string) (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.byName[name]
	return b.Curve, ok && !b.Revoked
}

// enlist makes the builders of a roster known.
func (s *service) enlist(ctx context.Context, r *roster.Roster) error {
	builders, err := r.Builders(ctx)
	if err != nil {
		return err
	}
	s.fleet.learn(builders)
	s.roster = r
	s.place(builders)
	return nil
}

// turned is called when a builder was registered, drained, resumed or revoked. One
// that was revoked is cut off: its key is forgotten before its connection ends, and
// what it says before that is not heard any more after it.
func (s *service) turned(builder string) {
	builders, err := s.roster.Builders(context.Background())
	if err != nil {
		s.log.Error("the builders cannot be read", "err", err)
		return
	}
	s.fleet.learn(builders)
	if s.cluster != nil {
		s.log.Info("the cluster's nodes know the builders as they were until they reload", "builder", builder)
	} else if _, known := s.fleet.curveOf(builder); !known {
		s.nats.Disconnect(builder)
	}
	s.place(builders)
}

func (s *service) place(builders []roster.Builder) {
	for _, b := range builders {
		s.architect.Place(b.Name, architect.Standing{Drained: b.Drained, Untrusted: b.Untrusted, Revoked: b.Revoked})
	}
}

// why tells what the architect knows about tasks that wait for a builder, and what
// is recorded about others.
func (s *service) why(_ context.Context, b *build.Build, task string) ([]api.Reason, error) {
	reasons := recordedReasons(b, task)
	for i := range reasons {
		if why, waits := s.architect.Why(b.ID, reasons[i].Task); waits {
			reasons[i].Why = why
		}
	}
	return reasons, nil
}

// signerKey is the file with the seed of a server's signatures in its state.
const signerKey = "architect.key"

// signerOf is the server's key: kept in its state if others know it by that, else
// as old as the process.
func (c *cli) signerOf(ctx context.Context, conf *serverConfig) (*dispatch.Signer, error) {
	if !conf.public() {
		return dispatch.NewSigner()
	}
	seed, err := c.stateSeed(ctx, conf, signerKey, func() (string, error) {
		signer, err := dispatch.NewSigner()
		if err != nil {
			return "", err
		}
		return signer.Seed(), nil
	})
	if err != nil {
		return nil, err
	}
	return dispatch.ParseSigner(seed)
}

// stateSeed is the seed in a file of the server's state. Others know the server by
// it, so it is made once, by whichever process is first.
func (c *cli) stateSeed(ctx context.Context, conf *serverConfig, name string, create func() (string, error)) (string, error) {
	repo, err := c.openState(ctx, conf.State)
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(repo.CommonDir()), name)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeSeed(path, create); err != nil {
			return "", fmt.Errorf("make the server's key %s: %w", path, err)
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return "", fmt.Errorf("read the server's key: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// makeSeed puts a new seed at path, unless another process was faster.
func makeSeed(path string, create func() (string, error)) error {
	seed, err := create()
	if err != nil {
		return err
	}
	if err := keepPrivate(path, []byte(seed+"\n"), os.Link); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// sealOf is the secret for attempts' credentials, which follows from the server's
// key and does not tell it.
func sealOf(signer *dispatch.Signer) []byte {
	sum := sha256.Sum256([]byte("velocity/1 credentials of attempts\x00" + signer.Seed()))
	return sum[:]
}

// public reports whether others than this machine's users are answered.
func (s *serverConfig) public() bool { return s != nil && s.Listen != "" }

package app

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/git"
)

const (
	// publishAtOnce is how many repositories of forges are published at the same
	// time: when a server starts, all of them are due.
	publishAtOnce = 4
	// forgeRemote is what the forge of a mirror is called in it.
	forgeRemote = "forge"
	// pushUser is sent beside a token; forges look at the token alone.
	pushUser = "velocity"
)

// publishes is what the configuration says of publishing to a kind of forge.
func (s *serverConfig) publishes(kind forge.Kind) (key string, p forgePublish) {
	if kind == forge.GitLab {
		return "gitlab.publish", s.GitLab.Publish
	}
	return "github.publish", s.GitHub.Publish
}

// canPublish finds credentials that are not there.
func (c *cli) canPublish(conf *serverConfig) error {
	for _, kind := range []forge.Kind{forge.GitHub, forge.GitLab} {
		key, p := conf.publishes(kind)
		if _, err := c.pushToken(key, p); err != nil {
			return err
		}
		if p.Key == "" {
			continue
		}
		file, err := os.Open(p.Key)
		if err != nil {
			return usage("%s.key: %w", key, err)
		}
		_ = file.Close() // nothing was read
	}
	return nil
}

// pushToken is the token to push with, "" if there is none.
func (c *cli) pushToken(key string, p forgePublish) (string, error) {
	if p.Token == "" {
		return "", nil
	}
	tokens, err := c.secrets(key+".token", p.Token)
	if err != nil {
		return "", err
	}
	if len(tokens) > 1 {
		return "", usage("%s.token: there are two tokens; one is used", key)
	}
	return tokens[0], nil
}

// publisherAtForge publishes a repository of a forge to the forge itself, with the
// operator's own credential; nil if the configuration has none. Each time it goes to
// where the repository is by then, with what the files hold by then. What others
// pushed to the notes there does not come into ours: they are what was built here.
func (c *cli) publisherAtForge(s *served, o serviceOptions) *publisher {
	if o.configured == nil {
		return nil
	}
	key, conf := o.configured.publishes(s.key.Kind)
	if !conf.on() {
		return nil
	}
	log := o.log.With("repo", s.remote().Name, "key", s.key.String())
	options := storage.PublishOptions{
		NotesOnly: !conf.Builds, Apart: true, Sleep: pause,
		Waiting: func(d time.Duration) { log.Debug("waiting to publish", "for", d) },
	}
	return newPublisher(log, func(ctx context.Context) (int, error) {
		select {
		case o.publishing <- struct{}{}:
			defer func() { <-o.publishing }()
		case <-ctx.Done():
			return 0, fmt.Errorf("wait to publish: %w", context.Cause(ctx))
		}
		token, err := c.pushToken(key, conf)
		if err != nil {
			return 0, err
		}
		remote, err := pushedTo(s.repo, s.remote(), transports(o.configured), token, conf.Key)
		if err != nil {
			return 0, err
		}
		sent, err := c.openStore(s.repo).Publish(ctx, remote, options)
		if errors.Is(err, storage.ErrNothingBuilt) {
			return 0, nil
		}
		return sent, err
	})
}

// pushedTo is where a repository of a forge is pushed to: where it is fetched from,
// with a token, or with a key by ssh at the same host.
func pushedTo(repo *git.Repository, r forge.Repository, transports []string, token, key string) (*git.Remote, error) {
	if key == "" {
		return repo.RemoteAt(r.Clone, forgeRemote, git.Access{
			Transports: transports, Credential: git.NewCredential(pushUser, token),
		})
	}
	at, err := url.Parse(r.Clone)
	if err != nil || at.Hostname() == "" {
		return nil, fmt.Errorf("%s has no host to push to", r.Name)
	}
	ssh := url.URL{Scheme: "ssh", User: url.User("git"), Host: at.Hostname(), Path: "/" + r.Name + ".git"}
	return repo.RemoteAt(ssh.String(), forgeRemote, git.Access{Key: key})
}

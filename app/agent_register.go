package app

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/client"
	"github.com/velocity-ci/velocity/architect/dispatch"
)

// enroll enters a builder at its architect under new keys, whose secret halves
// stay here.
func enroll(ctx context.Context, server *url.URL, authority, token, name string, s *agentSettings) (*credential, error) {
	roots, err := authorities(authority)
	if err != nil {
		return nil, err
	}
	keys, err := dispatch.NewKeys()
	if err != nil {
		return nil, err
	}
	told, err := client.Register(ctx, server, roots, api.Register{
		Token: token, Name: name, Public: keys.Public(), Curve: keys.Curve(),
		Labels: s.labels, Executors: s.executorNames(), Version: programVersion().Version,
	})
	var refused *client.StatusError
	if errors.As(err, &refused) {
		return nil, notEnrolled(refused, name)
	}
	if err != nil {
		return nil, err
	}
	seed, curve := keys.Seeds()
	return &credential{
		Name: told.Name, Server: server.String(), Authority: authority, NATS: told.NATS, ClusterAuthority: told.Authorities,
		Architect: told.Architect, Seed: seed, CurveSeed: curve,
	}, nil
}

// notEnrolled says what can be done about a refusal.
func notEnrolled(refused *client.StatusError, name string) error {
	f := &failure{status: statusProblem, err: refused}
	switch refused.Status {
	case http.StatusUnauthorized:
		return f.hint("a registration token is good for one builder and one hour: velocity builder token makes another")
	case http.StatusConflict:
		return f.hint("--name chooses another than %s, which stays taken even when that builder is revoked", name)
	case http.StatusUnprocessableEntity:
		f.status = statusUsage
	}
	return f
}

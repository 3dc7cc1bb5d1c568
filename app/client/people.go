package client

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/url"

	"github.com/velocity-ci/velocity/app/api"
)

// Register enters a builder at a server, which must be one that ParseServer
// accepted. A *StatusError has 401 for a token that is unknown, used or expired,
// 409 for a name or key that is taken, 422 for fields that cannot be.
func Register(ctx context.Context, server *url.URL, roots *x509.CertPool, ask api.Register) (api.Registered, error) {
	var told api.Registered
	err := Remote(server, roots, "", "").post(ctx, api.PathRegister, ask, &told)
	return told, err
}

// Builders lists all that are registered.
func (c *Client) Builders(ctx context.Context) ([]api.Builder, error) {
	var all []api.Builder
	err := c.get(ctx, api.PathBuilders, &all)
	return all, err
}

// Turn drains, resumes or revokes a builder, as verb says.
func (c *Client) Turn(ctx context.Context, name, verb, actor string) (api.Turned, error) {
	var told api.Turned
	err := c.post(ctx, api.PathBuilders+"/"+url.PathEscape(name)+"/"+verb, api.Act{Actor: actor}, &told)
	return told, err
}

// Mint makes a registration token.
func (c *Client) Mint(ctx context.Context, leave api.Leave) (api.Minted, error) {
	var m api.Minted
	err := c.post(ctx, api.PathRegistrations, leave, &m)
	return m, err
}

// Tokens lists the API tokens that were not revoked.
func (c *Client) Tokens(ctx context.Context) ([]api.Token, error) {
	var all []api.Token
	err := c.get(ctx, api.PathTokens, &all)
	return all, err
}

// Issue makes an API token.
func (c *Client) Issue(ctx context.Context, t api.Token) (api.Issued, error) {
	var made api.Issued
	err := c.post(ctx, api.PathTokens, t, &made)
	return made, err
}

// Withdraw revokes an API token.
func (c *Client) Withdraw(ctx context.Context, id string) error {
	return c.exchange(ctx, http.MethodDelete, api.PathTokens+"/"+url.PathEscape(id), nil, nil)
}

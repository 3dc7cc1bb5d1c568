package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/velocity-ci/velocity/app/api"
)

// Secrets lists all secrets, without their values.
func (c *Client) Secrets(ctx context.Context) ([]api.Secret, error) {
	var all []api.Secret
	err := c.get(ctx, api.PathSecrets, &all)
	return all, err
}

// SetSecret sets a secret.
func (c *Client) SetSecret(ctx context.Context, s api.SetSecret) (api.Secret, error) {
	var now api.Secret
	err := c.post(ctx, api.PathSecrets, s, &now)
	return now, err
}

// RemoveSecret removes one of a repository, or of the site if that is "".
func (c *Client) RemoveSecret(ctx context.Context, repository, name string) error {
	path := api.PathSecrets + "/" + url.PathEscape(name) + "?" + url.Values{api.ParamOf: {repository}}.Encode()
	return c.exchange(ctx, http.MethodDelete, path, nil, nil)
}

// RotateSecrets seals all secrets with a new key.
func (c *Client) RotateSecrets(ctx context.Context, by string) (api.Rotated, error) {
	var done api.Rotated
	err := c.post(ctx, api.PathRotate, api.Act{Actor: by}, &done)
	return done, err
}

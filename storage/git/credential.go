package git

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// A Credential is a name and a secret for one server. The zero value is none. No way
// of printing shows the secret: none looks into a function, while of what is hidden
// in another struct fmt calls no methods.
type Credential struct {
	user     string
	password func() string
}

// NewCredential makes one.
func NewCredential(user, password string) Credential {
	return Credential{user: user, password: func() string { return password }}
}

// The variables by which a fetch's credential reaches the helper below, through
// the environment of the git process: an argument or a file could be read by more
// than this user.
const (
	credentialUser     = "VELOCITY_FETCH_USER"
	credentialPassword = "VELOCITY_FETCH_PASSWORD"
)

// credentialHelper prints the credential when git asks for one, and neither keeps
// nor forgets any.
const credentialHelper = `!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' ` +
	`"$` + credentialUser + `" "$` + credentialPassword + `"; }; f`

// access returns the settings and the environment with which url is fetched from.
func (o FetchOptions) access(address string) (settings, env []string, err error) {
	if o.Authorities != "" {
		settings = append(settings, "http.sslCAInfo="+o.Authorities)
	}
	if o.Credential.password == nil {
		return settings, nil, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return nil, nil, errors.New("a credential is for an http address without one of its own")
	}
	user, password := o.Credential.user, o.Credential.password()
	for _, text := range []string{user, password} {
		if text == "" || strings.ContainsAny(text, "\n\r\x00") {
			return nil, nil, fmt.Errorf("the credential for %s cannot be handed over: it is empty or holds a line break", u.Host)
		}
	}
	// In the environment rather than by -c, which would end the key at an equals
	// sign in the address. An empty helper forgets those that are configured.
	return append(settings, "credential.useHttpPath=true", "http.followRedirects=false"), []string{
		"GIT_CONFIG_COUNT=2",
		"GIT_CONFIG_KEY_0=credential.helper", "GIT_CONFIG_VALUE_0=",
		"GIT_CONFIG_KEY_1=credential." + address + ".helper", "GIT_CONFIG_VALUE_1=" + credentialHelper,
		credentialUser + "=" + user,
		credentialPassword + "=" + password,
	}, nil
}

package builder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/executor"
)

// credentials are what the executable of a registry prints. Keys that are not
// here are ignored.
type credentials struct {
	Address  string `json:"address"` // "" is the one that the blueprint names
	Username string `json:"username"`
	Password string `json:"password"`
	State    string `json:"state"` // "failed" goes with an error
	Error    string `json:"error"`
}

// logIn makes the task's logins known to its later steps, and asks each registry
// whether it lets them in. A task that needs no engine needs no login.
func (t *attempt) logIn(ctx context.Context) error {
	t.logins = nil
	if !t.needsEngine() {
		return nil
	}
	var logins []executor.Login
	for _, r := range t.given.Task.Registries {
		l, err := t.login(ctx, r)
		if err != nil {
			return because(ctx, err)
		}
		logins = append(logins, l)
	}
	t.logins = logins
	return nil
}

// login makes a registry's login final and asks whether it is good. Its password is known to the masker
// before anything that could show it.
func (t *attempt) login(ctx context.Context, r plan.Registry) (executor.Login, error) {
	var c credentials
	var err error
	if r.Use != "" {
		c, err = t.runLogin(ctx, r)
	} else {
		c.Username, err = t.expandAll(r.Username)
		if err == nil {
			c.Password, err = t.expandAll(r.Password)
		}
	}
	if err == nil && c.Address == "" {
		c.Address, err = t.expandAll(r.Address)
	}
	if err != nil {
		return executor.Login{}, inRegistry(r, err)
	}
	if c.Username == "" || c.Password == "" {
		return executor.Login{}, inRegistry(r, errors.New("its login has no username or no password"))
	}
	if err := t.hide(map[string]string{"password of registry " + c.Address: c.Password}); err != nil {
		return executor.Login{}, err
	}
	return t.builder.Docker.Login(ctx, executor.Login{Registry: c.Address, Username: c.Username, Password: c.Password})
}

// inRegistry says in which registry a mistake is, unless err says how the attempt
// ends already.
func inRegistry(r plan.Registry, err error) error {
	if errors.As(err, new(*ending)) || errors.Is(err, executor.ErrEngine) {
		return err
	}
	name := string(r.Address)
	if name == "" {
		name = r.Use
	}
	return failed("registry %s: %v", name, err)
}

// expandAll expands a text that may mention any secret of the task.
func (t *attempt) expandAll(text plan.Text) (string, error) {
	mentioned, _ := text.Names() // expand reports the error
	return t.values.expand(text, mentioned)
}

// runLogin has the registry's executable tell the credentials. Whatever it prints
// beside them is not shown unless they are known: it may hold them.
func (t *attempt) runLogin(ctx context.Context, r plan.Registry) (credentials, error) {
	var stdout, stderr capture
	x := executable{what: "registry login " + r.Use, use: r.Use, arguments: r.Arguments}
	exit, err := t.runExecutable(ctx, x, &stdout, &stderr)
	if err != nil {
		return credentials{}, err
	}
	c, err := readCredentials(&stdout, exit)
	if err == nil && c.Password != "" {
		err = t.hide(map[string]string{"password that " + r.Use + " prints": c.Password})
	}
	t.show(x.what, &stderr, err != nil)
	if err != nil {
		return credentials{}, failed("%s: %v", x.what, err)
	}
	return c, nil
}

func readCredentials(out *capture, exit int) (credentials, error) {
	var c credentials
	if out.more {
		return c, fmt.Errorf("it printed more than %d bytes", maxDerived)
	}
	err := json.Unmarshal(out.kept, &c)
	switch {
	case err == nil && c.State == "failed" && c.Error != "":
		return c, errors.New(c.Error)
	case exit != 0 || err == nil && c.State == "failed":
		return c, fmt.Errorf("exit %d without credentials", exit)
	case err != nil:
		return c, fmt.Errorf(`its output is not JSON such as {"username": "…", "password": "…"} (%d bytes, not shown since they may hold a secret)`, len(out.kept))
	}
	return c, nil
}

package executor

import (
	"fmt"
	"io"
	"time"
)

// A Login lets an engine into one registry. It prints without its password.
type Login struct {
	Registry string // host, with a port if it has one; docker.io is the Docker Hub
	Username string
	Password string
}

// Format keeps the password out of whatever prints a Login.
func (l Login) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%s@%s", l.Username, l.Registry) }

// A Secret is a value that the building of an image may read, as a file or a
// variable, and that does not become part of the image. It prints as its name.
type Secret struct{ Name, Value string }

// Format keeps the value out of whatever prints a Secret.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.Name) }

// An ImageBuild is one image to build. All values are final.
type ImageBuild struct {
	Owner Owner

	Workspace  string   // absolute directory on the builder's machine
	Context    string   // directory below Workspace, slash separated; "" is Workspace itself
	Dockerfile string   // file below Workspace, slash separated; "" is the Context's own
	Tags       []string // names that the image gets, at least one
	Target     string   // stage of the Dockerfile; "" is the last
	Args       []string // "NAME=value"
	Secrets    []Secret
	Platforms  []string // such as linux/arm64; none is the engine's own
	Logins     []Login  // for the images that it is built from

	Stdout, Stderr io.Writer // must tolerate being called from different goroutines
	Grace          time.Duration
}

// An ImagePush is names of images to send to their registries.
type ImagePush struct {
	Tags   []string
	Logins []Login
	Stdout io.Writer
}

// An Image is a name and what it stands for.
type Image struct {
	Name   string
	Digest string // sha256:…; of the image's configuration when built, of its manifest when pushed
}

// An ImageError means that an image was not built or pushed for a reason that
// lies in what was asked for, or with its registry. Hint says what the author of
// the step can do about it.
type ImageError struct {
	What string
	Hint string
	Err  error // cause, may be nil
}

func (e *ImageError) Error() string {
	if e.Hint == "" {
		return e.What
	}
	return e.What + " (" + e.Hint + ")"
}

func (e *ImageError) Unwrap() error { return e.Err }

// A Service is a container that runs beside a command, on a network that only
// the two of them and other services of the command share.
type Service struct {
	Alias string   // its host name on that network
	Image string   // the image's reference
	Argv  []string // in place of the image's own command; none keeps that
	Env   []string // "NAME=value"
	Ready []string // command in the service that ends well once it is ready; none: running is enough

	Stdout, Stderr io.Writer // must tolerate being called from different goroutines
}

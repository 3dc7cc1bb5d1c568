package executor

import (
	"io"
	"time"
)

// A Project is a Compose project to run. All values but those of the Compose
// file itself are final.
type Project struct {
	Owner Owner

	Workspace string   // absolute directory on the builder's machine
	File      string   // the Compose file below Workspace, slash separated
	Service   string   // whose exit status counts; "" is any that is not zero
	Env       []string // "NAME=value", what ${NAME} in the Compose file stands for
	Logins    []Login  // for the images of the services

	// Stream gives the output of one container of the project a writer of its own.
	// It is called once for each, before anything is written anywhere.
	Stream         func(container string) io.Writer
	Stdout, Stderr io.Writer // what is about the project as a whole; as for a Command
	Grace          time.Duration
}

// A Container is one of a project's.
type Container struct {
	Service string
	Ended   bool // and is not about to be started again
	Exit    int  // exit status, once it has ended
}

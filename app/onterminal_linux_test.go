package app_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"github.com/velocity-ci/velocity/app"
)

func init() { programs["onterminal"] = onTerminal }

// onTerminal is the program `onterminal COMMAND ARGUMENT...`: it runs a command on
// a terminal, prints what a person would see there, and ends with the command's
// status. Whenever the command waits after "…: ", it types the next line of its own
// standard input. Unlike testscript's ttyout it loses nothing of what is printed
// just before the command ends.
func onTerminal() {
	status, err := runOnTerminal(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "onterminal: %v\n", err)
		os.Exit(125)
	}
	os.Exit(status)
}

func runOnTerminal(argv []string) (status int, err error) {
	typed, err := io.ReadAll(os.Stdin)
	if err != nil {
		return 0, err
	}
	person, program, err := app.OpenTerminal()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = cmd.Start()
	if err := errors.Join(err, program.Close()); err != nil {
		return 0, err
	}
	if err := converse(person, typed); err != nil {
		return 0, err
	}
	err = cmd.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// converse answers questions and copies all that is seen, until the other end of
// the terminal is closed by everybody.
func converse(person *os.File, typed []byte) error {
	var seen []byte
	buf := make([]byte, 4096)
	for {
		n, err := person.Read(buf)
		seen = append(seen, buf[:n]...)
		if errors.Is(err, syscall.EIO) || errors.Is(err, io.EOF) {
			_, err = os.Stdout.Write(bytes.ReplaceAll(seen, []byte("\r\n"), []byte("\n")))
			return err
		}
		if err != nil {
			return err
		}
		if end := bytes.IndexByte(typed, '\n') + 1; end > 0 && bytes.HasSuffix(seen, []byte(": ")) {
			if _, err := person.Write(typed[:end]); err != nil {
				return err
			}
			typed = typed[end:]
		}
	}
}

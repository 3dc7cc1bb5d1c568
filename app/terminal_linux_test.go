package app

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// OpenTerminal gives the two ends of a new terminal: what a person types at and
// sees, and what a program reads and writes.
func OpenTerminal() (person, program *os.File, err error) {
	person, err = os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	fd := int(person.Fd())
	err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	number, errNumber := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err := errors.Join(err, errNumber); err != nil {
		return nil, nil, fmt.Errorf("unlock terminal: %w", errors.Join(err, person.Close()))
	}
	program, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, errors.Join(err, person.Close())
	}
	return person, program, nil
}

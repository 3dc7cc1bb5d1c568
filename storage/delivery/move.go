package delivery

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/velocity-ci/velocity/storage/git"
)

// Each of these reads first and edits last, so that one that fails has left
// nothing behind on the sheet.

// accept reports whether the delivery is new. Its first try is counted already: to
// count it by itself would be one more write before anything is done.
func (s *sheet) accept(d *Delivery) (taken bool, err error) {
	known, err := s.known(d.Key)
	if known || err != nil {
		return false, err
	}
	p := place{slot: slotOf(d.Received)}
	if p.base, err = s.next(p.slot, d.Key); err != nil {
		return false, err
	}
	data, err := encode(Entry{
		Key: d.Key, Forge: d.Forge, Event: d.Event, Received: d.Received, Size: len(d.Body), State: Waiting, Tries: 1,
	})
	if err != nil {
		return false, err
	}
	s.put(p.record(), data)
	s.put(p.body(), d.Body)
	s.put(keyPath(periodOf(d.Received), d.Key), []byte(p.slot))
	return true, nil
}

// known reports whether a delivery waits or was worked off.
func (s *sheet) known(key string) (bool, error) {
	p, err := s.find(key)
	if errors.Is(err, ErrNone) {
		return false, nil
	}
	if err != nil || p.base != "" {
		return err == nil, err
	}
	e, err := s.ended(p.slot, key)
	if errors.Is(err, ErrNone) { // the key has outlived the log
		return false, nil
	}
	return e.State == Done, err
}

// ended finds the last line about a delivery in the log of a slot. Errors: ErrNone.
func (s *sheet) ended(slot, key string) (found Entry, err error) {
	all, err := s.log(slot)
	if err != nil {
		return found, err
	}
	err = ErrNone
	for _, e := range all {
		if e.Key == key {
			found, err = e, nil
		}
	}
	return found, err
}

func (s *sheet) log(slot string) ([]Entry, error) {
	data, err := s.read(logPath(slot), maxLog)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return decodeLog(data), nil
}

func (s *sheet) begin(key string) (more bool, err error) {
	p, err := s.find(key)
	if err != nil || p.base == "" {
		return false, err
	}
	e, err := s.entry(p, key)
	var unreadable *recordError
	if errors.As(err, &unreadable) {
		return false, s.conclude(p, key, func(e *Entry) { e.State, e.Note = Failed, unreadable.Error() })
	}
	if err != nil {
		return false, err
	}
	if e.Tries >= MaxTries {
		return false, s.conclude(p, key, func(e *Entry) {
			e.State, e.Note = Failed, fmt.Sprintf("given up: %d tries were begun and none ended", e.Tries)
		})
	}
	e.Tries++
	return true, s.rewrite(p, e)
}

func (s *sheet) postpone(key, reason string) error {
	p, err := s.find(key)
	if err != nil || p.base == "" {
		return err
	}
	e, err := s.entry(p, key)
	if err != nil {
		return err
	}
	e.Tries, e.Note = max(e.Tries-1, 0), reason
	return s.rewrite(p, e)
}

func (s *sheet) rewrite(p place, e Entry) error {
	data, err := encode(e)
	if err == nil {
		s.put(p.record(), data)
	}
	return err
}

func (s *sheet) finish(key string, with func(*Entry)) error {
	p, err := s.find(key)
	if err != nil || p.base == "" {
		return err
	}
	return s.conclude(p, key, with)
}

// entry reads the record of a delivery that waits. Errors: *recordError,
// *VersionError.
func (s *sheet) entry(p place, key string) (Entry, error) {
	data, err := s.read(p.record(), maxRecord)
	if errors.Is(err, git.ErrTooLarge) || errors.Is(err, git.ErrObjectNotFound) {
		err = &recordError{err}
	}
	if err != nil {
		return Entry{}, err
	}
	e, err := decode(data)
	if err == nil && e.Key != key {
		err = &recordError{fmt.Errorf("it is that of %.100s", e.Key)}
	}
	return e, err
}

// conclude takes a delivery from those that wait into the log. If its record cannot
// be read, what its name says has to do.
func (s *sheet) conclude(p place, key string, with func(*Entry)) error {
	e, err := s.entry(p, key)
	var unreadable *recordError
	if errors.As(err, &unreadable) {
		at, _ := time.Parse(slotForm, p.slot) // checked when it was read
		e, err = Entry{Key: key, Received: at}, nil
	}
	if err != nil {
		return err
	}
	body, err := s.bodyOf(p)
	if err != nil {
		return err
	}
	with(&e)
	e.Ended = s.at
	if err := s.tell(p.slot, e); err != nil {
		return err
	}
	if !body.IsZero() {
		s.link(bodyPath(p.slot, key), body)
	}
	s.drop(p.body())
	s.drop(p.record())
	return nil
}

// bodyOf finds the body of a delivery that waits, Zero if it is lost: a folder that
// names what is not there would break the merging of packs.
func (s *sheet) bodyOf(p place) (git.Hash, error) {
	h, err := s.file(p.body())
	if _, isNew := s.fresh[h]; err == nil && !isNew {
		_, err = s.repo.BlobSize(h)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, git.ErrObjectNotFound) {
		return git.Zero, nil
	}
	return h, err
}

// tell adds lines to the log of a slot.
func (s *sheet) tell(slot string, all ...Entry) error {
	log, err := s.read(logPath(slot), maxLog)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	log = log[:len(log):len(log)]
	for _, e := range all {
		line, err := encode(e)
		if err != nil {
			return err
		}
		log = append(log, line...)
	}
	s.put(logPath(slot), log)
	return nil
}

package delivery

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Where things are. A slot is ten seconds of arrival, as a path, so that every
// folder stays small and a day can be dropped at once.
const (
	waitingFolder = "waiting" // waiting/<slot>/<number>-<key>.json and .body
	logFolder     = "log"     // log/<slot>.jsonl: a line for each end
	bodiesFolder  = "bodies"  // bodies/<slot>/<key>: of what was worked off
	keysFolder    = "keys"    // keys/<first day>/<aa>/<bb>/<key>: its slot

	recordEnd = ".json"
	bodyEnd   = ".body"
	logEnd    = ".jsonl"

	slotForm   = "2006-01-02/15/04/05"
	slotLength = 10 * time.Second
	dayForm    = "2006-01-02"
	day        = 24 * time.Hour
	period     = 7 * day // of one folder of keys
)

func slotOf(at time.Time) string { return at.UTC().Truncate(slotLength).Format(slotForm) }

// periodOf is the first day of the folder that has the keys of a time.
func periodOf(at time.Time) string { return at.UTC().Truncate(period).Format(dayForm) }

func logPath(slot string) string       { return logFolder + "/" + slot + logEnd }
func bodyPath(slot, key string) string { return bodiesFolder + "/" + slot + "/" + key }
func waitingPath(slot string) string   { return waitingFolder + "/" + slot }

// keyPath spreads keys evenly, whatever they look like.
func keyPath(first, key string) string {
	sum := sha256.Sum256([]byte(key))
	spread := hex.EncodeToString(sum[:2])
	return keysFolder + "/" + first + "/" + spread[:2] + "/" + spread[2:] + "/" + key
}

// A place is where a delivery is.
type place struct {
	slot string
	base string // what its files in the folder of the slot begin with; "" if it does not wait
}

func (p place) record() string { return waitingPath(p.slot) + "/" + p.base + recordEnd }
func (p place) body() string   { return waitingPath(p.slot) + "/" + p.base + bodyEnd }

// find tells where a delivery came in last, and whether it waits. Errors: ErrNone.
func (s *sheet) find(key string) (p place, err error) {
	if !isKey(key) {
		return p, ErrNone
	}
	periods, err := s.list(keysFolder)
	if err != nil {
		return p, err
	}
	for _, first := range slices.Backward(slices.Sorted(maps.Keys(periods))) {
		data, err := s.read(keyPath(first, key), int64(len(slotForm)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return p, err
		}
		if p.slot, err = readSlot(string(data)); err != nil {
			return p, err
		}
		p.base, err = s.base(p.slot, key)
		return p, err
	}
	return p, ErrNone
}

// readSlot checks what was read: it becomes part of a path.
func readSlot(text string) (string, error) {
	at, err := time.Parse(slotForm, text)
	if err != nil || slotOf(at) != text {
		return "", fmt.Errorf("%.40q is no time of arrival", text)
	}
	return text, nil
}

// base finds a delivery that waits in a slot.
func (s *sheet) base(slot, key string) (string, error) {
	names, err := s.list(waitingPath(slot))
	for name := range names {
		if base, ok := strings.CutSuffix(name, recordEnd); ok && keyIn(base) == key {
			return base, nil
		}
	}
	return "", err
}

// keyIn is the key in a name such as 000012-KEY, "" if it is none.
func keyIn(base string) string {
	number, key, _ := strings.Cut(base, "-")
	if _, err := strconv.ParseUint(number, 10, 32); err != nil || !isKey(key) {
		return ""
	}
	return key
}

// next is the name under which a delivery waits behind those in the slot.
func (s *sheet) next(slot, key string) (string, error) {
	if _, counted := s.last[slot]; !counted {
		names, err := s.list(waitingPath(slot))
		if err != nil {
			return "", err
		}
		s.last[slot] = 0
		for name := range names {
			number, _, _ := strings.Cut(name, "-")
			if n, err := strconv.ParseUint(number, 10, 32); err == nil {
				s.last[slot] = max(s.last[slot], n)
			}
		}
	}
	s.last[slot]++
	return fmt.Sprintf("%06d-%s", s.last[slot], key), nil
}

// expire drops the days that are over. What waits still is found by its key, so
// keys are kept as far back as that.
func (s *sheet) expire() error {
	oldest := s.at.Add(-KeepEntries)
	waiting, err := s.list(waitingFolder)
	if err != nil {
		return err
	}
	for name := range waiting {
		if at, err := time.Parse(dayForm, name); err == nil && at.Before(oldest) {
			oldest = at
		}
	}
	return errors.Join(
		s.dropBefore(bodiesFolder, s.at.Add(-KeepBodies), day),
		s.dropBefore(logFolder, oldest, day),
		s.dropBefore(keysFolder, oldest, period))
}

// dropBefore drops the folders that a time is behind, each of which holds so much.
func (s *sheet) dropBefore(folder string, oldest time.Time, each time.Duration) error {
	names, err := s.list(folder)
	if err != nil {
		return err
	}
	for name := range names {
		if at, err := time.Parse(dayForm, name); err == nil && !at.Add(each).After(oldest) {
			s.drop(folder + "/" + name)
		}
	}
	return nil
}

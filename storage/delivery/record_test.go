package delivery

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 40, maxText)
		e := Entry{
			Key: rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,99}`).Draw(t, "key"), Forge: text.Draw(t, "forge"),
			Event: text.Draw(t, "event"), Received: noon.Add(time.Duration(rapid.IntRange(0, 1e9).Draw(t, "received")) * time.Millisecond),
			Size: rapid.IntRange(0, MaxBody).Draw(t, "size"), State: rapid.SampledFrom([]State{Waiting, Done, Failed, Refused}).Draw(t, "state"),
			Action: text.Draw(t, "action"), Note: text.Draw(t, "note"), Tries: rapid.IntRange(0, 9).Draw(t, "tries"),
			Source: text.Draw(t, "source"), Count: rapid.IntRange(0, 9).Draw(t, "count"),
		}
		data, err := encode(e)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]Entry{e, e}, decodeLog(append(data, data...))); diff != "" {
			t.Fatalf("what was written reads otherwise (-want +got):\n%s", diff)
		}
	})
}

func TestNewerRecordIsRefused(t *testing.T) {
	var newer *VersionError
	if _, err := decode([]byte(`{"version": 2, "key": 7}`)); !errors.As(err, &newer) || newer.Version != 2 {
		t.Errorf("decode = %v", err)
	}
}

// The longest texts must fit into what is read again.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"version":1,"key":"github-1","forge":"github","event":"push","received":"2026-11-22T12:00:00Z","size":7,"state":"waiting"}`))
	f.Add([]byte(`{"version":1,"received":"2026-11-22T12:00:00Z","state":"refused","note":"unsigned","source":"192.0.2.1","count":3}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := decode(data)
		if err != nil {
			return
		}
		once, err := encode(e)
		if err != nil {
			return // a time that JSON cannot print
		}
		if len(once) > maxRecord {
			t.Fatalf("%d bytes", len(once))
		}
		again, err := decode(once)
		if err != nil {
			t.Fatalf("%q was read and not read again: %v", once, err)
		}
		if twice, err := encode(again); err != nil || string(twice) != string(once) {
			t.Fatalf("%q became %q (%v)", once, twice, err)
		}
	})
}

// A slot becomes part of paths.
func FuzzSlot(f *testing.F) {
	f.Add(slotOf(noon))
	f.Add("2026-11-22/12/00/01")
	f.Add("../../../etc")
	f.Fuzz(func(t *testing.T, text string) {
		slot, err := readSlot(text)
		if err != nil {
			return
		}
		if at, err := time.Parse(slotForm, slot); err != nil || slotOf(at) != text {
			t.Fatalf("%q was taken for a slot", text)
		}
	})
}

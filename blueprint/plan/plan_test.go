package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlanEncodeDecode(t *testing.T) {
	value := "<&>"
	p := &Plan{
		Version: Version, Kind: OfPipeline, Name: "default", Event: EventPush, Ref: "refs/heads/main",
		Commit: "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
		Stages: []Stage{{Name: "test", Tasks: []Task{{
			Key: "s0t0", Name: "unit", Blueprint: "unit", Timeout: Duration(90e9),
			Parameters: []Parameter{{Name: "x", Value: &value}},
			Steps:      []Step{{Type: StepRun, Name: "go test", At: "unit.yml:2:5", Run: &Run{Command: []Text{"go", "test"}}}},
		}}}},
	}
	data, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, got); diff != "" {
		t.Errorf("Decode(Encode(p)) differs (-want +got):\n%s", diff)
	}
	one, _ := p.Digest()
	two, _ := got.Digest()
	if one != two || len(one) != 64 {
		t.Errorf("Digest() = %q and %q; want the same 64 digits", one, two)
	}
	if _, err := Decode([]byte(`{"version":2}`)); err == nil {
		t.Error("Decode of version 2 = nil error; want a refusal")
	}
}

func TestParseKey(t *testing.T) {
	for _, key := range []string{"s0t0", "s12t7"} {
		if s, i, err := ParseKey(key); err != nil || Key(s, i) != key {
			t.Errorf("ParseKey(%q) = %d, %d, %v", key, s, i, err)
		}
	}
	for _, key := range []string{"", "s0", "st", "s-1t0", "s01t0", "s0t0x", "../s0t0"} {
		if s, i, err := ParseKey(key); err == nil {
			t.Errorf("ParseKey(%q) = %d, %d; want an error", key, s, i)
		}
	}
}

func TestParseCommit(t *testing.T) {
	good := "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"
	if c, err := ParseCommit(good); err != nil || string(c) != good || c.Short() != "2fd4e1c" {
		t.Errorf("ParseCommit(%q) = %q, %v", good, c, err)
	}
	for _, s := range []string{"", "2fd4e1c", good + "0", "2FD4E1C67A2D28FCED849EE1BB76E7391B93EB12", "--upload-pack=x"} {
		if c, err := ParseCommit(s); err == nil {
			t.Errorf("ParseCommit(%q) = %q; want an error", s, c)
		}
	}
}

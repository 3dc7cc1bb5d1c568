package plan

import "testing"

// What nobody found out about a pull request is no trust in it.
func TestTrust(t *testing.T) {
	all := []Event{EventPush, EventManual, EventLocal, EventSchedule, EventPullRequest, EventMergeGroup}
	for _, event := range all {
		for trust, want := range map[Trust]bool{
			TrustUnknown:  event != EventPullRequest && event != EventMergeGroup,
			TrustWriter:   true,
			TrustStranger: false,
			TrustFork:     false,
			"later":       false,
		} {
			trigger := Trigger{Event: event, Trust: trust}
			if got := trigger.Trusted(); got != want {
				t.Errorf("%s from %q: trusted %v; want %v", event, trust, got, want)
			}
			if got := trigger.Fork(); got != (trust == TrustFork) {
				t.Errorf("%s from %q: fork %v", event, trust, got)
			}
		}
	}
}

func TestTrustOf(t *testing.T) {
	for _, c := range []struct {
		fork, writer bool
		want         Trust
	}{
		{true, true, TrustFork},
		{true, false, TrustFork},
		{false, true, TrustWriter},
		{false, false, TrustStranger},
	} {
		if got := TrustOf(c.fork, c.writer); got != c.want {
			t.Errorf("TrustOf(%v, %v) = %q; want %q", c.fork, c.writer, got, c.want)
		}
	}
}

package app

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/client"
	"github.com/velocity-ci/velocity/app/forge/github"
	"github.com/velocity-ci/velocity/storage/delivery"
)

// What a machine of a test cannot be brought to is judged from what it would say.
func TestJudgements(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	d := &doctor{c: &cli{now: func() time.Time { return now }}}
	builder := func(b api.Builder) symptom { _, s := judgeBuilder(b); return s }
	here := &api.Connection{Capacity: 1}
	last := func(list []symptom) symptom { return list[len(list)-1] }
	need := github.Need{Name: "checks", Access: "write", Reason: "showing builds"}
	wish := github.Need{Name: "merge_queues", Access: "read", Reason: "merge groups", Optional: true}
	at := func(account string, missing ...github.Need) []github.Installation {
		return []github.Installation{{Account: account, Missing: missing}}
	}
	const day = 24 * time.Hour
	for name, tt := range map[string]struct {
		got     symptom
		verdict verdict
		found   string
	}{
		"room":             {judgeRoom("/s", room{bytes: 50 << 30, of: 100 << 30, files: uncounted}), verdictFine, "/s: 51200 MiB of 102400 MiB are left"},
		"small disk":       {judgeRoom("/s", room{bytes: 900 << 20, of: 1 << 30, files: uncounted}), verdictFine, "/s: 900 MiB of 1024 MiB are left"},
		"little room":      {judgeRoom("/s", room{bytes: 900 << 20, of: 100 << 30, files: uncounted}), verdictWarning, "/s: the disk is nearly full: 900 MiB of 102400 MiB are left"},
		"no room":          {judgeRoom("/s", room{bytes: 1 << 20, of: 100 << 30, files: uncounted}), verdictProblem, "/s: the disk is full: 1 MiB are left"},
		"no inodes":        {judgeRoom("/s", room{bytes: 50 << 30, of: 100 << 30}), verdictProblem, "/s: no more files can be made: the disk has no inodes left"},
		"few inodes":       {judgeRoom("/s", room{bytes: 50 << 30, of: 100 << 30, files: 99}), verdictWarning, "/s: 99 more files can be made: the disk has few inodes left"},
		"clock":            {clock("GitHub's", 2*time.Second), verdictFine, "this clock and GitHub's agree"},
		"fast clock":       {clock("GitHub's", time.Minute), verdictProblem, "this clock is 1m0s ahead of GitHub's"},
		"slow clock":       {clock("GitHub's", -time.Hour), verdictProblem, "this clock is 1h0m0s behind GitHub's"},
		"good certificate": {d.expires("c", now.Add(90*day)), verdictFine, "c is good until 2027-02-21"},
		"old certificate":  {d.expires("c", now.Add(3*day)), verdictWarning, "c expires on 2026-11-26"},
		"dead certificate": {d.expires("c", now.Add(-day)), verdictProblem, "c expired on 2026-11-22"},
		"not ready":        {d.judgeHealth(client.Health{Conditions: "store: ok\nlock: not ok\nnats: not ok\n"})[0], verdictProblem, `the server takes no builds in; not in order: ["lock" "nats"]`},
		"no deliveries":    {judgeDeliveries(nil, now)[0], verdictSkipped, "nothing was ever delivered"},
		"builder":          {builder(api.Builder{Name: "b", Connection: here}), verdictFine, "builder b"},
		"builder away":     {builder(api.Builder{Name: "b"}), verdictWarning, "builder b is not connected"},
		"builder unfit":    {builder(api.Builder{Name: "b", Connection: &api.Connection{Reason: "disk: 1 MiB are free"}}), verdictWarning, "builder b takes nothing new: disk: 1 MiB are free"},
		"builder drained":  {builder(api.Builder{Name: "b", Drained: true}), verdictSkipped, "builder b is drained"},
		"App":              {last(judgeApp(github.Health{Slug: "v", Installations: at("acme")})), verdictFine, "the App v is installed at 1 accounts and has what it needs"},
		"App nowhere":      {last(judgeApp(github.Health{Slug: "v"})), verdictWarning, "the App v is installed nowhere: nothing is built"},
		"App lacks":        {last(judgeApp(github.Health{Slug: "v", Missing: []github.Need{need}, Installations: at("acme")})), verdictProblem, "the App v lacks checks (write), for showing builds"},
		"installation":     {last(judgeApp(github.Health{Slug: "v", Installations: at("acme", need)})), verdictProblem, "the App's installation at acme lacks checks (write), for showing builds"},
		"optional":         {last(judgeApp(github.Health{Slug: "v", Installations: at("acme", wish)})), verdictWarning, "the App's installation at acme lacks merge_queues (read), for merge groups"},
		"suspended":        {last(judgeApp(github.Health{Slug: "v", Installations: []github.Installation{{Account: "acme", Suspended: true}}})), verdictWarning, "the App is suspended at acme: nothing is built there"},
		"deliveries":       {judgeDeliveries([]delivery.Entry{{State: delivery.Done, Received: now}}, now.Add(-day))[0], verdictFine, "the newest delivery came 2026-11-23 09:00:00 UTC; within a day 1 were worked off and 0 wait"},
		"refused":          {judgeDeliveries([]delivery.Entry{{State: delivery.Refused, Received: now, Note: "bad signature", Count: 3}}, now.Add(-day))[0], verdictWarning, "the newest delivery came 2026-11-23 09:00:00 UTC; within a day not all were taken: 3 refused: bad signature"},
		"refused long ago": {judgeDeliveries([]delivery.Entry{{State: delivery.Refused, Received: now.Add(-2 * day), Note: "bad signature"}}, now.Add(-day))[0], verdictFine, "the newest delivery came 2026-11-21 09:00:00 UTC; within a day 0 were worked off and 0 wait"},
	} {
		mends := tt.verdict == verdictWarning || tt.verdict == verdictProblem
		if tt.got.Verdict != tt.verdict || tt.got.Found != tt.found || (tt.got.Mend != "") != mends {
			t.Errorf("%s: %+v; want %s, %q, and advice: %t", name, tt.got, tt.verdict, tt.found, mends)
		}
	}
}

// An examination that hangs, and heeds nothing, ends with its time, and the others
// are told all the same.
func TestExaminationsAreBounded(t *testing.T) {
	d := &doctor{within: time.Millisecond}
	hang := make(chan struct{})
	defer close(hang)
	got := d.bounded(t.Context(), examination{"disk", func(context.Context) []symptom { <-hang; return nil }})
	want := []symptom{{Verdict: verdictProblem, Found: "no answer within 1ms", Mend: "see what is slow: the disk, the network, or the program that was asked"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a hanging examination (-want +got):\n%s", diff)
	}
	d.within = time.Hour
	if got := d.bounded(t.Context(), examination{"git", func(context.Context) []symptom { return []symptom{fine("git")} }}); len(got) != 1 || got[0].Verdict != verdictFine {
		t.Errorf("one that ends: %+v", got)
	}
}

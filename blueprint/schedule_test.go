package blueprint

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// times lists the next n times of a schedule, in its own zone.
func times(t *testing.T, cron, zone, from string, n int) []string {
	t.Helper()
	s := schedule{Cron: word{Value: cron, Set: true}, Timezone: word{Value: zone, Set: true}}
	parsed, err := s.parse()
	if err != nil {
		t.Fatalf("parse %s: %v", cron, err)
	}
	at, err := time.Parse(time.RFC3339, from)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for range n {
		at = parsed.Next(at)
		list = append(list, at.In(parsed.zone).Format("01-02 15:04 -0700"))
	}
	return list
}

// London's clocks go forward on 2026-03-29 at 01:00 and back on 2026-10-25 at
// 02:00 (summer time); New York's on 03-08 and 11-01 at 02:00, Lord Howe's by half
// an hour only, and Santiago's at midnight.
func TestScheduleAndClockChanges(t *testing.T) {
	for _, test := range []struct {
		name, cron, zone, from string
		want                   []string
	}{
		{"plain", "30 4 * * 1-5", "", "2026-01-02T05:00:00Z", []string{"01-05 04:30 +0000", "01-06 04:30 +0000"}},
		{"zone", "30 4 * * *", "America/New_York", "2026-01-02T09:30:00Z", []string{"01-03 04:30 -0500"}},
		{"skipped", "30 1 * * *", "Europe/London", "2026-03-28T12:00:00Z", []string{"03-29 02:00 +0100", "03-30 01:30 +0100"}},
		{"skipped, several", "*/20 * * * *", "Europe/London", "2026-03-29T00:30:00Z", []string{"03-29 00:40 +0000", "03-29 02:00 +0100", "03-29 02:20 +0100"}},
		{"twice", "30 1 * * *", "Europe/London", "2026-10-24T12:00:00Z", []string{"10-25 01:30 +0100", "10-26 01:30 +0000"}},
		{"twice, several", "*/30 * * * *", "Europe/London", "2026-10-24T23:45:00Z", []string{"10-25 01:00 +0100", "10-25 01:30 +0100", "10-25 02:00 +0000"}},
		{"from the second", "15 1 * * *", "Europe/London", "2026-10-25T01:10:00Z", []string{"10-26 01:15 +0000"}},
		{"New York back", "30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", []string{"11-01 01:30 -0400", "11-02 01:30 -0500"}},
		{"New York forward", "30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", []string{"03-08 03:00 -0400", "03-09 02:30 -0400"}},
		{"half an hour", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00+11:00", []string{"04-05 01:45 +1100", "04-06 01:45 +1030"}},
		{"midnight", "0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z", []string{"09-06 01:00 -0300", "09-07 00:00 -0300"}},
		{"leap day", "0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", []string{"02-29 00:00 +0000"}},
		{"word", "@weekly", "UTC", "2026-01-01T00:00:00Z", []string{"01-04 00:00 +0000"}},
	} {
		if diff := cmp.Diff(test.want, times(t, test.cron, test.zone, test.from, len(test.want))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// Times move forward, and between two of them the clock shows no other that is
// wanted, unless it was put forward or back.
func TestScheduleIsComplete(t *testing.T) {
	zones := []string{"UTC", "Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Santiago", "Africa/Casablanca"}
	crons := []string{"* * * * *", "*/7 * * * *", "30 1 * * *", "0 */3 * * *", "15 2,3 * * 0", "0 0 1 * *", "59 23 31 12 *", "@hourly"}
	rapid.Check(t, func(t *rapid.T) {
		s := schedule{Cron: word{Value: rapid.SampledFrom(crons).Draw(t, "cron")}, Timezone: word{Value: rapid.SampledFrom(zones).Draw(t, "zone")}}
		parsed, err := s.parse()
		if err != nil {
			t.Fatal(err)
		}
		from := time.Unix(rapid.Int64Range(1_700_000_000, 1_900_000_000).Draw(t, "from"), 0).UTC()
		next := parsed.Next(from)
		if !next.After(from) {
			t.Fatalf("after %v comes %v", from, next)
		}
		if _, offset := from.In(parsed.zone).Zone(); offset != zoneOffset(next, parsed.zone) {
			return
		}
		if wall := wallClock(next.In(parsed.zone)); !parsed.times.Next(wall.Add(-time.Second)).Equal(wall) {
			t.Fatalf("%v is no time of %s", wall, parsed.Cron)
		}
		if again := parsed.Next(next.Add(-time.Second)); !again.Equal(next) {
			t.Fatalf("just before %v comes %v", next, again)
		}
	})
}

func zoneOffset(at time.Time, zone *time.Location) int {
	_, offset := at.In(zone).Zone()
	return offset
}

func TestSchedules(t *testing.T) {
	c, _ := mustLoad(t, files{
		".velocityci/blueprints/b.yml": "steps: [{type: run, command: x}]",
		".velocityci/pipelines/z.yml":  "on: {schedule: [{cron: '@daily'}, {cron: '61 * * * *'}, {cron: '0 1 * * *', timezone: Europe/London}]}\nstages: [{blueprints: [b]}]",
		".velocityci/pipelines/a.yml":  "on: {schedule: [{cron: '@hourly'}]}\nstages: [{blueprints: [b]}]",
		".velocityci/pipelines/no.yml": "stages: [{blueprints: [b]}]",
	})
	var got []string
	for _, s := range c.Schedules() {
		got = append(got, s.Pipeline+" "+s.Cron+" "+s.Zone)
	}
	if want := []string{"a @hourly ", "z @daily ", "z 0 1 * * * Europe/London"}; !slices.Equal(got, want) {
		t.Errorf("Schedules() = %q; want %q", got, want)
	}
}

func FuzzSchedule(f *testing.F) {
	for _, s := range []string{"* * * * *", "30 4 * * 1-5", "*/0 * * * *", "@daily", "TZ=", "CRON_TZ=x 0 0 * * *", "@every 1ns", "0 0 31 2 *", "1-99999999999/1 * * * *", "jan * * * *", "*/-1 * * * *"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		s := schedule{Cron: word{Value: spec}, Timezone: word{Value: "Europe/London"}}
		parsed, err := s.parse()
		if err != nil {
			return
		}
		at := time.Unix(1_790_000_000, 0)
		if next := parsed.Next(at); !next.IsZero() && !next.After(at) {
			t.Errorf("after %v %q comes %v", at, spec, next)
		}
	})
}

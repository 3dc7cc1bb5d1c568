package blueprint

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a file must mean the same on a machine without time zones

	"github.com/robfig/cron/v3"
)

// A Schedule starts a pipeline at certain times.
type Schedule struct {
	Pipeline string
	Cron     string // as it is written
	Zone     string // name of the time zone; "" is UTC

	times cron.Schedule
	zone  *time.Location
}

// Next is the first time of the schedule after the given one, in UTC; it is zero
// if there is none within five years.
//
// The schedule is read off the clock on a wall in its zone. A time that this clock
// leaves out when it is put forward comes at the moment of the change, and several
// such times come once. A time that the clock shows twice when it is put back
// comes the first time only.
func (s Schedule) Next(after time.Time) time.Time {
	wall := wallClock(after.In(s.zone))
	for {
		if wall = s.times.Next(wall); wall.IsZero() {
			return wall
		}
		if t := s.first(wall); t.After(after) {
			return t.UTC()
		}
	}
}

// wallClock is what the clock shows, as a time that can be counted with: every
// minute of it exists, once.
func wallClock(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// first is the earliest moment at which the zone's clock shows wall, or the moment
// at which it skips it.
func (s Schedule) first(wall time.Time) time.Time {
	t := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, s.zone)
	start, _ := t.ZoneBounds()
	if !wallClock(t).Equal(wall) { // skipped: t is within the hour before or after the change
		if wallClock(t).Before(wall) {
			_, start = t.ZoneBounds()
		}
		return start
	}
	if start.IsZero() {
		return t
	}
	// The same wall time as seen by the offset that held before the last change.
	_, before := start.Add(-time.Second).Zone()
	_, now := t.Zone()
	if earlier := t.Add(time.Duration(now-before) * time.Second); earlier.Before(start) {
		return earlier
	}
	return t
}

// Schedules lists the times at which pipelines start, by pipeline and in the order
// in which each file has them. Those with mistakes are left out.
func (c *Config) Schedules() []Schedule {
	var list []Schedule
	for _, p := range sortedUnits(c.pipelines) {
		if p.On == nil {
			continue
		}
		for i := range p.On.Schedule {
			if s, err := p.On.Schedule[i].parse(); err == nil {
				s.Pipeline = p.name
				list = append(list, s)
			}
		}
	}
	return list
}

// schedule is one entry of on.schedule.
type schedule struct {
	spot
	Cron     word `yaml:"cron" jsonschema:"required" jsonschema_description:"Minute, hour, day of the month, month and day of the week, as in crontab"`
	Timezone word `yaml:"timezone" jsonschema_description:"Name of a time zone such as Europe/London; UTC if not set"`
}

func (schedule) noun() string { return "a schedule" }

func (s *schedule) check(r *report) {
	at := s.Cron.at
	if !s.Cron.Set {
		return // which is reported as a missing key
	}
	parsed, err := s.parse()
	switch {
	case parsed.zone == nil:
		r.errorf(s.Timezone.at, "there is no time zone %q", s.Timezone.Value).Hint = "such as UTC, Europe/London or America/New_York"
	case err != nil:
		r.errorf(at, "%q is no schedule: %s", s.Cron.Value, err.Error()).Hint =
			`write minute, hour, day of the month, month and day of the week, such as "30 4 * * 1-5"`
	case parsed.times.Next(time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero(): // five years from here hold a 29 February
		r.errorf(at, "%q never comes", s.Cron.Value)
	}
}

// parse leaves the zone nil if that is what is wrong.
func (s *schedule) parse() (Schedule, error) {
	out := Schedule{Cron: s.Cron.Value, Zone: s.Timezone.Value}
	zone, err := time.LoadLocation(s.Timezone.Value)
	if err != nil || s.Timezone.Value == "Local" { // the machine's own is not in the file
		return out, fmt.Errorf("no time zone %s", s.Timezone.Value)
	}
	out.zone = zone
	out.times, err = parseCron(s.Cron.Value)
	return out, err
}

// parseCron reads five fields or a word such as @daily. The library would also
// read a time zone before them, badly, and intervals that begin whenever the
// program does.
func parseCron(spec string) (times cron.Schedule, err error) {
	const longest = 200
	if strings.Contains(spec, "=") || strings.HasPrefix(spec, "@every") || len(spec) > longest {
		return nil, fmt.Errorf("five fields are expected")
	}
	times, err = cron.ParseStandard(spec)
	if err != nil {
		return nil, err
	}
	return times, nil
}

package app

import (
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/storage"
)

func TestKeepFlags(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]storage.Bound{
		"--keep-logs-for=30d":                {Age: 30 * day},
		"--keep-logs-for=12w":                {Age: 84 * day},
		"--keep-logs-for=1y":                 {Age: 365 * day},
		"--keep-logs-for=1h30m":              {Age: 90 * time.Minute},
		"--keep-logs-size=5G":                {Bytes: 5_000_000_000},
		"--keep-logs-size=7k":                {Bytes: 7000},
		"--keep-logs-size=12":                {Bytes: 12},
		"--keep-logs-count=1000":             {Count: 1000},
		"--keep-logs-for=":                   {},
		"--keep-logs-for=d":                  {},
		"--keep-logs-for=0d":                 {},
		"--keep-logs-for=-2w":                {},
		"--keep-logs-for=1.5d":               {},
		"--keep-logs-for=300000y":            {}, // more than there are nanoseconds
		"--keep-logs-size=":                  {},
		"--keep-logs-size=5kM":               {},
		"--keep-logs-size=-5":                {},
		"--keep-logs-size=0":                 {},
		"--keep-logs-size=9999999999999999T": {},
		"--keep-logs-count=0":                {},
		"--keep-logs-count=x":                {},
	} {
		cmd := &cobra.Command{}
		keep := keepFlags(cmd)
		err := cmd.ParseFlags([]string{text})
		if keep.Logs != want || (err == nil) != (want != storage.Bound{}) || keep.Builds != (storage.Bound{}) {
			t.Errorf("%s = %+v, %v; want %+v", text, *keep, err, want)
		}
	}
}

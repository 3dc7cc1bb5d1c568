package app

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
)

// Set by the linker where Go cannot find them out, as there is no git:
// -X github.com/velocity-ci/velocity/app.version=v1.2.3
var version, commit string

func (c *cli) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print version, commit and Go version",
		Args:  arguments(0, 0),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		v := programVersion()
		if *asJSON {
			return json.NewEncoder(c.Out).Encode(v)
		}
		_, err := fmt.Fprintf(c.Out, "velocity %s\ncommit %s\n%s %s\n", v.Version, v.Commit, v.Go, v.Platform)
		return err
	}
	return cmd
}

// A release says which program this is.
type release struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// programVersion takes from what the linker was told, then from what Go recorded
// by itself.
func programVersion() release {
	v := release{Version: version, Commit: commit, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if ok && v.Version == "" {
		v.Version = info.Main.Version
	}
	if ok && v.Commit == "" {
		v.Commit = recordedCommit(info.Settings)
	}
	if v.Version == "" {
		v.Version = "(devel)"
	}
	if v.Commit == "" {
		v.Commit = "unknown"
	}
	return v
}

// commitDate is the day of the commit that this program was built from, in UTC and as
// in 2026-11-22, or empty where Go did not record it.
func commitDate() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if at, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
			return at.UTC().Format(time.DateOnly)
		}
	}
	return ""
}

func recordedCommit(settings []debug.BuildSetting) string {
	revision, changed := "", ""
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = " (with changes)"
		}
	}
	if revision == "" {
		return ""
	}
	return revision + changed
}

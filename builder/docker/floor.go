package docker

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/velocity-ci/velocity/builder/executor"
)

// A floor is how old a part of an engine may be that runs code of strangers.
type floor struct {
	part  string   // as the engine names it
	since []string // first good version of each branch that was mended, oldest first; branches after the last are good
	mends string   // what can be done with older ones
}

// floors is the list. A row changes when a way out of a container is mended.
var floors = []floor{
	// A container that is made gets at files of the machine through /proc and masked paths.
	// https://github.com/opencontainers/runc/security/advisories/GHSA-9493-h29p-rfm2
	// https://github.com/opencontainers/runc/security/advisories/GHSA-qw9x-cqr3-wc7r
	// https://github.com/opencontainers/runc/security/advisories/GHSA-cgrx-mc8f-2prm
	{"runc", []string{"1.2.8", "1.3.3", "1.4.0-rc.3"}, "CVE-2025-31133, CVE-2025-52565, CVE-2025-52881"},
	// Whoever copies files into or out of a stranger's container with docker cp has its programs
	// run on the machine, or files there written. Velocity never does; people do.
	// https://github.com/moby/moby/security/advisories/GHSA-x86f-5xw2-fm2r
	// https://github.com/moby/moby/security/advisories/GHSA-vp62-88p7-qqf5
	// https://github.com/moby/moby/security/advisories/GHSA-rg2x-37c3-w2rh
	{"Engine", []string{"29.5.1"}, "CVE-2026-41567, CVE-2026-41568, CVE-2026-42306"},
}

// Floor returns nil if the engine may run code of strangers, as far as its age
// tells. Otherwise the error is an *executor.StartError with what was found and
// what to do; it also is executor.ErrEngine if no engine answered.
func (e *Executor) Floor(ctx context.Context) error {
	said, err := e.api.ServerVersion(ctx)
	if err != nil {
		return noEngine(err)
	}
	versions := map[string]string{}
	for _, c := range said.Components {
		versions[c.Name] = c.Version
	}
	return judge(versions)
}

// judge compares what an engine says of its parts with the list.
func judge(versions map[string]string) error {
	var old []string
	for _, f := range floors {
		if found := f.below(versions[f.part]); found != "" {
			old = append(old, fmt.Sprintf("%s (%s or newer mends %s)", found, strings.Join(f.since, ", "), f.mends))
		}
	}
	if len(old) == 0 {
		return nil
	}
	return &executor.StartError{
		What: "the Docker engine is too old for code of strangers: " + strings.Join(old, "; "),
		Hint: "update it; where its distribution has mended these under the old number, velocity builder run --engine-floor=off takes its word for that",
	}
}

// below names a version that is not good, or returns "". What cannot be compared
// is not good.
func (f floor) below(text string) string {
	number, ok := upstream(text)
	switch {
	case text == "":
		return f.part + " of a version that the engine does not tell"
	case !ok:
		return fmt.Sprintf("%s %.40q, which is not of a known form and counts as older", f.part, text)
	case !f.holds(number):
		return f.part + " " + text
	}
	return ""
}

// holds reports whether an upstream version is good.
func (f floor) holds(number string) bool {
	v, newest := "v"+number, ""
	for _, since := range f.since {
		newest = "v" + since
		if semver.MajorMinor(v) == semver.MajorMinor(newest) {
			break
		}
	}
	return semver.Compare(v, newest) >= 0
}

// version is a number of upstream, maybe of a pre-release, and what Debian (+ds1)
// or Ubuntu (-0ubuntu1) put after it. That their ~rc1 comes before the number is
// one reason to take no other form.
var version = regexp.MustCompile(`^v?([0-9]+\.[0-9]+\.[0-9]+(?:-(?:alpha|beta|rc)\.[0-9]+)?)(?:\+[0-9A-Za-z.~+-]*|-[0-9]+ubuntu[0-9A-Za-z.~+-]*)?$`)

// upstream is the number within a version, without what a distribution adds: by
// that nobody can tell which mends it has.
func upstream(text string) (number string, ok bool) {
	parts := version.FindStringSubmatch(text)
	if parts == nil || !semver.IsValid("v"+parts[1]) {
		return "", false
	}
	return parts[1], true
}

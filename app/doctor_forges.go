package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/client"
	"github.com/velocity-ci/velocity/app/forge/github"
	"github.com/velocity-ci/velocity/storage/delivery"
	"github.com/velocity-ci/velocity/storage/git"
)

// hostOf is the machine of an address, "" if it names none.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// address asks at the address that forges and people were told. That it answers here
// does not show that it does so elsewhere.
func (d *doctor) address(ctx context.Context) []symptom {
	if d.conf.URL == "" {
		return []symptom{skipped("no url is configured: forges can deliver nothing, and are asked every %s instead", time.Duration(d.conf.Poll))}
	}
	u, err := client.ParseServer(d.conf.URL)
	if err != nil {
		return []symptom{problem("url: %v", err).mend("url names the address at which others reach this server")}
	}
	h, err := client.Remote(u, nil, "", "").Health(ctx, d.c.now)
	if err != nil {
		return []symptom{problem("%s does not answer: %v", u, err).
			mend("start the server; then look at DNS, the firewall, the proxy before it and its certificate")}
	}
	return append([]symptom{fine("%s answers", u)}, d.judgeHealth(h)[1:]...)
}

// github asks GitHub for the App, and what it was granted.
func (d *doctor) github(ctx context.Context) []symptom {
	const configure = "github.app, github.key and github.secret belong together; docs/github.md"
	a, err := d.c.appOf(d.conf)
	if err != nil {
		return []symptom{problem("%v", err).mend(configure)}
	}
	if a == nil {
		return []symptom{skipped("no GitHub App is configured")}
	}
	api, err := github.APIOf(d.conf.GitHub.URL)
	if err != nil {
		return []symptom{problem("%v", err).mend("github.url is the address of GitHub as people open it")}
	}
	app, err := github.Open(github.Options{
		API: api, AppID: a.ID, Key: a.Key, Transport: forgeTransport(), Now: d.c.now, Log: silent(), UserAgent: userAgent,
	})
	if err != nil {
		return []symptom{problem("GitHub App %d: %v", a.ID, err).mend(configure)}
	}
	h, err := app.Check(ctx)
	found := []symptom{clock("GitHub's", h.Skew)}
	if err != nil {
		return append(found, problem("GitHub does not know the App, or cannot be reached: %v", err).
			mend("look at the network, the number of the App, its key, and whether somebody removed it; docs/github.md"))
	}
	return append(found, judgeApp(h)...)
}

// judgeApp says what the App lacks.
func judgeApp(h github.Health) []symptom {
	var found []symptom
	lacks := func(who string, all []github.Need, mend string) {
		for _, need := range all {
			s := problem("%s lacks %s (%s), for %s", who, need.Name, need.Access, need.Reason)
			if need.Optional {
				s = warning("%s lacks %s (%s), for %s", who, need.Name, need.Access, need.Reason)
			}
			found = append(found, s.mend("%s", mend))
		}
	}
	lacks("the App "+h.Slug, h.Missing, "add it on the App's settings, "+h.Page)
	for _, in := range h.Installations {
		if in.Suspended {
			found = append(found, warning("the App is suspended at %s: nothing is built there", in.Account).mend("an owner of %s takes that back", in.Account))
			continue
		}
		lacks("the App's installation at "+in.Account, in.Missing, "an owner of "+in.Account+" accepts the App's new permissions")
	}
	if len(h.Installations) == 0 {
		found = append(found, warning("the App %s is installed nowhere: nothing is built", h.Slug).mend("%s/installations/new installs it", h.Page))
	}
	if len(found) == 0 {
		found = append(found, fine("the App %s is installed at %d accounts and has what it needs", h.Slug, len(h.Installations)))
	}
	return found
}

// gitlab asks GitLab what the token is worth.
func (d *doctor) gitlab(ctx context.Context) []symptom {
	if d.conf.GitLab.URL == "" {
		return []symptom{skipped("no GitLab is configured")}
	}
	to, err := d.c.openGitLab(d.conf, silent())
	if err != nil {
		return []symptom{problem("%v", err).mend("gitlab.token names a file with the token; docs/gitlab.md")}
	}
	h, err := to.Check(ctx)
	if err != nil {
		return []symptom{problem("GitLab does not take the token, or cannot be reached: %v", err).
			mend("look at gitlab.url, the network, and whether the token was revoked or expired; docs/gitlab.md")}
	}
	found := []symptom{fine("GitLab %s takes the token %q", h.Version, h.Name)}
	if len(h.Missing) > 0 {
		found = append(found, problem("the token lacks the scopes %s", inQuotes(h.Missing)).mend("make a token that has them, and write it into its file"))
	}
	if h.Soon {
		found = append(found, warning("the token expires on %s", h.Expires.Format(time.DateOnly)).mend("rotate it, and write the new one into its file"))
	}
	return found
}

// lately is how far back deliveries are looked at, and how many of them.
const (
	lately       = 24 * time.Hour
	latestOfLate = 200
)

// deliveries looks at what forges sent lately.
func (d *doctor) deliveries(ctx context.Context) []symptom {
	state, err := d.c.stateFolder(d.conf.State)
	if err != nil {
		return []symptom{skipped("%v", err)}
	}
	path := filepath.Join(state, ownRepository)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return []symptom{skipped("there is no state, and so no log of deliveries")}
	}
	repo, err := git.Open(ctx, path)
	if err != nil {
		return []symptom{problem("the log of deliveries cannot be read: %v", err).mend("see whether this user may read %s", path)}
	}
	since := d.c.now().Add(-lately)
	list, err := delivery.Open(repo, d.c.clock).List(ctx, latestOfLate, func(delivery.Entry) bool { return true })
	if err != nil {
		return []symptom{problem("the log of deliveries cannot be read: %v", err).mend("velocity fsck --repo %s says what is broken", path)}
	}
	return judgeDeliveries(list, since)
}

// judgeDeliveries says what became of deliveries, the newest first.
func judgeDeliveries(list []delivery.Entry, since time.Time) []symptom {
	if len(list) == 0 {
		return []symptom{skipped("nothing was ever delivered")}
	}
	count := map[delivery.State]int{}
	why := map[string]int{}
	for _, e := range list {
		if e.Received.Before(since) {
			continue
		}
		count[e.State] += max(1, e.Count)
		if e.State == delivery.Refused || e.State == delivery.Failed {
			why[string(e.State)+": "+e.Note] += max(1, e.Count)
		}
	}
	newest := "the newest delivery came " + list[0].Received.UTC().Format(time.DateTime) + " UTC"
	if count[delivery.Refused]+count[delivery.Failed] == 0 {
		return []symptom{fine("%s; within a day %d were worked off and %d wait", newest, count[delivery.Done], count[delivery.Waiting])}
	}
	var reasons []string
	for _, reason := range slices.Sorted(maps.Keys(why)) {
		reasons = append(reasons, fmt.Sprintf("%d %s", why[reason], reason))
	}
	return []symptom{warning("%s; within a day not all were taken: %s", newest, strings.Join(reasons, "; ")).
		mend("compare the webhook's secret there and here; docs/webhooks.md has each reason")}
}

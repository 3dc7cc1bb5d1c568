package liaison

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/require"
	"github.com/velocity-ci/velocity/hooks"
)

// person is somebody of the model as the forge knows them.
func user(p hooks.Person) forge.User { return forge.User(p) }

// opens opens a pull request of octo's in octo/world: number 5, from topic to main,
// with commit 11. change makes it another one.
func (r *rig) opens(change func(*forge.Pull)) {
	p := &forge.Pull{Number: 5, Head: sha(11), HeadRef: topic, BaseRef: main, Author: user(octo), Open: true, Modified: time.Now()}
	if change != nil {
		change(p)
	}
	r.hub.change(world, func(m *model) { m.pulls[p.Number] = p })
}

// push moves a ref of octo/world; zero drops it.
func (r *rig) push(ref string, n int) {
	r.hub.change(world, func(m *model) {
		if m.refs[ref] = sha(n); n == 0 {
			delete(m.refs, ref)
		}
	})
}

// asked makes a build of main at commit 2, number 1, and ends it, if it is to end.
func (r *rig) asked(as build.State) {
	r.push(main, 2)
	r.tell(hooks.Event{Kind: hooks.BranchPushed, Ref: main, Commit: sha(2)})
	if as.Final() {
		r.house().finish(1, as)
	}
	r.house().said()
}

// forked opens a pull request from a fork, whose build is number 1 and held.
func (r *rig) forked() {
	r.opens(func(p *forge.Pull) { p.Fork, p.Author, p.HeadRef = true, user(stranger), main })
	r.tell(hooks.Event{Kind: hooks.PullOpened, Pull: 5, Sender: stranger})
	r.house().said()
}

// press is a button of the check of build 1.
func press(ask string) hooks.Event {
	return hooks.Event{Kind: hooks.ActionAsked, Action: ask, External: "k3f9a2-1", Commit: sha(2)}
}

func comment(ask string, c plan.Commit) hooks.Event {
	return hooks.Event{Kind: hooks.Commanded, Pull: 5, Action: ask, Commit: c}
}

func by(p hooks.Person, e hooks.Event) hooks.Event { e.Sender = p; return e }

// What becomes of a delivery, by what there is when it is worked off.
func TestActions(t *testing.T) {
	pushed := hooks.Event{Kind: hooks.BranchPushed, Ref: main, Commit: sha(2), Before: sha(1)}
	skipped := hooks.Event{Kind: hooks.BranchPushed, Ref: main, Commit: sha(2), Skip: true}
	deleted := hooks.Event{Kind: hooks.RefDeleted, Ref: topic}
	opened := hooks.Event{Kind: hooks.PullOpened, Pull: 5}
	closed := hooks.Event{Kind: hooks.PullClosed, Pull: 5}
	queue := "refs/heads/gh-readonly-queue/main/pr-1"
	group := hooks.Event{Kind: hooks.GroupRequested, Ref: queue, Commit: sha(21), Target: main}
	suite := hooks.Event{Kind: hooks.SuiteRerun, Commit: sha(2)}
	const ask5 = "accept pull_request refs/pull/5/head b refs/heads/main "
	for name, c := range map[string]struct {
		before func(r *rig)
		event  hooks.Event
		fate   string // its beginning
		log    []string
	}{
		"a push":                       {func(r *rig) { r.push(main, 2) }, pushed, "build: ", []string{"accept push refs/heads/main 2 octo"}},
		"a push that is overtaken":     {func(r *rig) { r.push(main, 3) }, pushed, "build: ", []string{"accept push refs/heads/main 3 octo"}},
		"a push of what is gone":       {func(r *rig) { r.push(main, 0) }, pushed, "build: refs/heads/main is gone", nil},
		"a push without a build":       {func(r *rig) { r.push(main, 2) }, skipped, "remember: ", []string{"accept push refs/heads/main 2 octo skip"}},
		"the next push shall be built": {func(r *rig) { r.push(main, 3) }, skipped, "remember: refs/heads/main has moved on", []string{"found refs/heads/main 3"}},
		"a tag":                        {func(r *rig) { r.push("refs/tags/v1", 2) }, hooks.Event{Kind: hooks.TagPushed, Ref: "refs/tags/v1"}, "build: ", []string{"accept push refs/tags/v1 2 octo"}},
		"a branch is deleted":          {nil, deleted, "cancel: ", []string{"end push refs/heads/topic : ref deleted"}},
		"a branch is there again":      {func(r *rig) { r.push(topic, 3) }, deleted, "cancel: refs/heads/topic is there again", nil},

		"a pull request":             {func(r *rig) { r.opens(nil) }, opened, "build pull: ", []string{ask5 + "refs/heads/topic writer octo"}},
		"of a fork":                  {func(r *rig) { r.opens(func(p *forge.Pull) { p.Fork = true }) }, opened, "build pull: ", []string{ask5 + "fork octo"}},
		"of a stranger":              {func(r *rig) { r.opens(func(p *forge.Pull) { p.Author = user(stranger) }) }, opened, "build pull: ", []string{ask5 + "refs/heads/topic stranger octo"}},
		"opened again by a stranger": {func(r *rig) { r.opens(nil) }, by(stranger, opened), "build pull: ", []string{ask5 + "refs/heads/topic stranger stranger"}},
		"of nobody":                  {func(r *rig) { r.opens(func(p *forge.Pull) { p.Author = forge.User{} }) }, by(hooks.Person{Login: "octo"}, opened), "build pull: ", []string{ask5 + "refs/heads/topic stranger octo"}},
		"of any bot":                 {func(r *rig) { r.opens(func(p *forge.Pull) { p.Author = user(robot) }) }, by(robot, opened), "build pull: ", []string{ask5 + "refs/heads/topic stranger robot[bot]"}},
		"of a trusted bot":           {func(r *rig) { r.opens(func(p *forge.Pull) { p.Author = user(friend) }) }, by(friend, opened), "build pull: ", []string{ask5 + "refs/heads/topic writer friend[bot]"}},
		"opened and closed":          {func(r *rig) { r.opens(func(p *forge.Pull) { p.Open = false }) }, opened, "build pull: the pull request is closed", []string{"end pull_request refs/pull/5/head : pull request closed"}},
		"gone":                       {nil, opened, "build pull: the pull request is gone", []string{"end pull_request refs/pull/5/head : pull request closed"}},
		"closed":                     {func(r *rig) { r.opens(func(p *forge.Pull) { p.Open = false }) }, closed, "cancel pull: ", []string{"end pull_request refs/pull/5/head : pull request closed"}},
		"closed, and open again":     {func(r *rig) { r.opens(nil) }, closed, "cancel pull: the pull request is open", nil},
		"a label":                    {func(r *rig) { r.opens(nil) }, hooks.Event{Kind: hooks.PullLabeled, Pull: 5}, "drop: Labels start nothing.", nil},

		"a merge group":              {func(r *rig) { r.push(queue, 21) }, group, "build group: ", []string{"accept merge_group " + queue + " 15 refs/heads/main writer octo"}},
		"a merge group that is gone": {nil, group, "build group: the group is gone", nil},
		"another merge group":        {func(r *rig) { r.push(queue, 22) }, group, "build group: the group is gone", nil},
		"the end of a merge group":   {nil, hooks.Event{Kind: hooks.GroupGone, Commit: sha(21)}, "cancel group: ", []string{"end merge_group  15: merge group destroyed"}},

		"rerun":                                {func(r *rig) { r.asked(build.Failed) }, hooks.Event{Kind: hooks.CheckRerun, External: "k3f9a2-1/0.0", Commit: sha(2)}, "rerun: ", []string{"rerun k3f9a2-1 failed=false by octo (github 1)"}},
		"rerun what failed":                    {func(r *rig) { r.asked(build.Failed) }, press(hooks.AskFailed), "do: ", []string{"rerun k3f9a2-1 failed=true by octo (github 1)"}},
		"nothing failed":                       {func(r *rig) { r.asked(build.Succeeded) }, press(hooks.AskFailed), "do: nothing of build k3f9a2-1", nil},
		"rerun what runs":                      {func(r *rig) { r.asked(build.Building) }, press(hooks.AskRerun), "do: build k3f9a2-1 is not over", nil},
		"cancel":                               {func(r *rig) { r.asked(build.Building) }, press(hooks.AskCancel), "do: ", []string{"cancel k3f9a2-1: canceled by octo (github 1)"}},
		"cancel what is over":                  {func(r *rig) { r.asked(build.Failed) }, press(hooks.AskCancel), "do: build k3f9a2-1 is over", nil},
		"approve what is not held":             {func(r *rig) { r.asked(build.Building) }, press(hooks.AskApprove), "do: " + build.ErrNotHeld.Error(), nil},
		"approve":                              {(*rig).forked, hooks.Event{Kind: hooks.ActionAsked, Action: hooks.AskApprove, External: "k3f9a2-1/approval", Commit: sha(11)}, "do: ", []string{"approve k3f9a2-1 by octo (github 1)"}},
		"a button of ours that we do not know": {func(r *rig) { r.asked(build.Failed) }, press("explode"), `do: "explode" is nothing`, nil},
		"a button of another commit":           {func(r *rig) { r.asked(build.Failed) }, hooks.Event{Kind: hooks.CheckRerun, External: "k3f9a2-1", Commit: sha(3)}, "rerun: build k3f9a2-1 is not of", nil},
		"a button of no build":                 {func(r *rig) { r.asked(build.Failed) }, hooks.Event{Kind: hooks.CheckRerun, External: "k3f9a2-9", Commit: sha(2)}, "rerun: there is no build k3f9a2-9", nil},
		"a check of somebody else's":           {func(r *rig) { r.asked(build.Failed) }, hooks.Event{Kind: hooks.CheckRerun, External: "lint", Commit: sha(2)}, "rerun: the check is not", nil},
		"a stranger's button":                  {func(r *rig) { r.asked(build.Failed) }, by(stranger, press(hooks.AskRerun)), "do: refused: stranger may not write to octo/world", nil},
		"a bot's button":                       {func(r *rig) { r.asked(build.Failed) }, by(friend, press(hooks.AskRerun)), "do: refused: ", nil},
		"nobody's button":                      {func(r *rig) { r.asked(build.Failed) }, by(hooks.Person{Login: "octo"}, press(hooks.AskRerun)), "do: refused: ", nil},

		"all of a commit": {func(r *rig) { r.asked(build.Succeeded) }, suite, "rerun suite: ", []string{"rerun k3f9a2-1 failed=false by octo (github 1)"}},
		"what failed of a commit": {func(r *rig) {
			r.asked(build.Failed)
			r.push("refs/tags/v1", 2)
			r.tell(hooks.Event{Kind: hooks.TagPushed, Ref: "refs/tags/v1"})
			r.house().finish(2, build.Succeeded)
			r.house().said()
		}, suite, "rerun suite: ", []string{"rerun k3f9a2-1 failed=false by octo (github 1)"}},
		"what failed and then did not": {func(r *rig) {
			r.asked(build.Failed)
			r.tell(press(hooks.AskRerun))
			r.house().finish(2, build.Succeeded)
			r.house().said()
		}, suite, "rerun suite: ", []string{"rerun k3f9a2-2 failed=false by octo (github 1)"}},
		"a stranger's suite": {func(r *rig) { r.asked(build.Failed) }, by(stranger, suite), "rerun suite: refused: ", nil},
		"a suite of nothing": {nil, suite, "rerun suite: there is no such build", nil},

		"a command": {func(r *rig) { r.opens(nil); r.tell(opened); r.house().finish(1, build.Failed); r.house().said() }, comment(hooks.AskRerun, ""), "obey: ", []string{"rerun k3f9a2-1 failed=false by octo (github 1)"}},
		"a command to all of its builds": {func(r *rig) {
			r.opens(nil)
			r.tell(opened)
			r.push(topic, 11)
			r.tell(hooks.Event{Kind: hooks.BranchPushed, Ref: topic})
			r.push(main, 11)
			r.tell(hooks.Event{Kind: hooks.BranchPushed, Ref: main}) // no business of the pull request
			r.house().said()
		}, comment(hooks.AskCancel, ""), "obey: ", []string{"cancel k3f9a2-2: canceled by octo (github 1)", "cancel k3f9a2-1: canceled by octo (github 1)"}},
		"a stranger's command":              {func(r *rig) { r.opens(nil); r.tell(opened); r.house().said() }, by(stranger, comment(hooks.AskCancel, "")), "obey: refused: ", nil},
		"a command where it is closed":      {func(r *rig) { r.opens(func(p *forge.Pull) { p.Open = false }) }, comment(hooks.AskRerun, ""), "obey: the pull request is closed", nil},
		"a command where it is gone":        {nil, comment(hooks.AskRerun, ""), "obey: the pull request is closed", nil},
		"approve a fork":                    {(*rig).forked, comment(hooks.AskApprove, sha(11)), "obey: ", []string{"approve k3f9a2-1 by octo (github 1)"}},
		"approve a fork without its commit": {(*rig).forked, comment(hooks.AskApprove, ""), "obey: refused: of a fork", nil},
		"approve a fork that moved on": {func(r *rig) {
			r.forked()
			r.hub.change(world, func(m *model) { m.pulls[5].Head = sha(12) })
		}, comment(hooks.AskApprove, sha(11)), "obey: refused: ", nil},
		"the author approves": {(*rig).forked, by(stranger, comment(hooks.AskApprove, sha(11))), "obey: refused: ", nil},
		"approve another pull request of the same head": {func(r *rig) {
			r.forked()
			r.opens(func(p *forge.Pull) { p.Number, p.Fork, p.BaseRef = 6, true, "refs/heads/old" })
		}, hooks.Event{Kind: hooks.Commanded, Pull: 6, Action: hooks.AskApprove, Commit: sha(11)}, "obey: there is no such build", nil},
		"nothing waits": {func(r *rig) { r.opens(nil); r.tell(opened); r.house().said() }, comment(hooks.AskApprove, ""), "obey: there is no such build", nil},

		"a repository that is deleted":                      {func(r *rig) { r.hub.change(world, func(m *model) { m.gone = true }) }, hooks.Event{Kind: hooks.RepositoryDeleted}, "remove: the repository is not built here", []string{"end   : repository not built here any more: the forge does not show it"}},
		"a repository that is there still":                  {nil, hooks.Event{Kind: hooks.RepositoryDeleted}, "remove: the forge has it still", nil},
		"a repository that is archived":                     {func(r *rig) { r.hub.change(world, func(m *model) { m.is.Archived = true }) }, hooks.Event{Kind: hooks.RepositoryChanged}, "refresh: the repository is not built here: it is archived", []string{"end   : repository not built here any more: it is archived"}},
		"a repository that is renamed":                      {func(r *rig) { r.hub.change(world, func(m *model) { m.is.Name = "octo/earth" }) }, hooks.Event{Kind: hooks.RepositoryChanged}, "refresh: ", nil},
		"a repository that is renamed to what nobody wants": {func(r *rig) { r.hub.change(world, func(m *model) { m.is.Name = "octo/unwanted" }) }, hooks.Event{Kind: hooks.RepositoryChanged}, "refresh: the repository is not built here: the configuration", []string{"end   : repository not built here any more: the configuration leaves it out"}},
		"access is lost":                                    {func(r *rig) { r.hub.change(world, func(m *model) { m.gone = true }) }, hooks.Event{Kind: hooks.AccessLost}, "lose: ", []string{"end   : repository not built here any more: the forge does not show it"}},
		"another App's check":                               {func(r *rig) { r.asked(build.Failed) }, hooks.Event{Kind: hooks.Ignored, Note: "why"}, "drop: why", nil},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				if c.before != nil {
					c.before(r)
				}
				if got := r.inbox.fate(r.tell(c.event)); !strings.HasPrefix(got, c.fate) {
					t.Errorf("it became %q; want %q", got, c.fate)
				}
				if diff := cmp.Diff(c.log, r.house().said(), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("the house was told (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// Old pull requests are not built when a delivery has the refs compared, and new ones
// are, once.
func TestRefsChanged(t *testing.T) {
	bubble(t, func(r *rig) {
		r.opens(func(p *forge.Pull) { p.Modified = time.Now().Add(-time.Hour) })
		r.opens(func(p *forge.Pull) { p.Number, p.Head = 6, sha(12) })
		r.push(topic, 3)
		for range 2 {
			r.tell(hooks.Event{Kind: hooks.RefsChanged})
		}
		want := []string{"found refs/heads/topic 3", "accept pull_request refs/pull/6/head c refs/heads/main refs/heads/topic writer octo"}
		if diff := cmp.Diff(want, r.house().said()); diff != "" {
			t.Errorf("the house was told (-want +got):\n%s", diff)
		}
	})
}

// A pull request whose head cannot be found keeps no other from being built.
func TestOneOfManyFails(t *testing.T) {
	bubble(t, func(r *rig) {
		r.opens(nil)
		r.opens(func(p *forge.Pull) { p.Number = 6 })
		r.hub.change(world, func(m *model) { m.hidden = 5 })
		r.Add(forge.GitHub, r.hub, ours) // everything is compared
		synctest.Wait()
		if got := r.house().said(); len(got) != 1 {
			t.Errorf("the house was told %q; want pull request 6", got)
		}
	})
}

// A suite is asked for a commit of which no push was heard: a minute later it is
// looked for.
func TestMissedPush(t *testing.T) {
	bubble(t, func(r *rig) {
		r.push(main, 2)
		r.tell(hooks.Event{Kind: hooks.SuiteAsked, Commit: sha(2)})
		if said := r.house().said(); said != nil {
			t.Errorf("at once: %q; want nothing", said)
		}
		pass(pushComes)
		synctest.Wait()
		if diff := cmp.Diff([]string{"found refs/heads/main 2"}, r.house().said()); diff != "" {
			t.Errorf("the house was told (-want +got):\n%s", diff)
		}
	})
}

// A pull request that is closed and opened again, and a head that comes back, are
// built again, also if no delivery tells of it.
func TestWhatComesBack(t *testing.T) {
	bubble(t, func(r *rig) {
		r.opens(nil)
		r.tell(hooks.Event{Kind: hooks.PullOpened, Pull: 5})
		for _, is := range []forge.Pull{{Head: sha(12), Open: true}, {Head: sha(11), Open: true}, {Head: sha(11)}, {Head: sha(11), Open: true}} {
			r.hub.change(world, func(m *model) { m.pulls[5].Head, m.pulls[5].Open = is.Head, is.Open })
			for range 2 {
				pass(time.Second) // what is asked for at another time is asked for anew
				r.tell(hooks.Event{Kind: hooks.RefsChanged})
			}
		}
		var got []string
		for _, b := range r.house().all {
			got = append(got, strings.TrimLeft(string(b.Trigger.Commit), "0")+" "+b.Canceled)
		}
		want := []string{"b superseded by k3f9a2-2", "c superseded by k3f9a2-3", "b pull request closed", "b "}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("builds (-want +got):\n%s", diff)
		}
	})
}

// What was served is served again although its forge is away, and nothing else is.
func TestResume(t *testing.T) {
	require.Bubble(t, func(t *testing.T) {
		r := newRig(t)
		for id, name := range []string{"octo/world", "octo/archived", "octo/gone"} {
			r.hub.repo(int64(id)+1, name).refs[main] = sha(1)
		}
		stop := r.start()
		synctest.Wait()
		r.hub.change(2, func(m *model) { m.is.Archived = true })
		r.hub.change(3, func(m *model) { m.gone = true })
		r.Add(forge.GitHub, r.hub, ours) // everything is compared
		synctest.Wait()
		stop()
		r.down(errDown)
		defer r.start()()
		synctest.Wait()
		for id, want := range []bool{true, false, false} {
			if _, served := r.houses.At(forge.Key{Kind: forge.GitHub, ID: int64(id) + 1}); served != want {
				t.Errorf("%s is served: %v; want %v", r.hub.repos[int64(id)+1].is.Name, served, want)
			}
		}
	})
}

// A repository that comes is served, and what it has is not built.
func TestAccessGained(t *testing.T) {
	bubble(t, func(r *rig) {
		r.hub.repo(8, "octo/moon").refs[main] = sha(5)
		r.hub.repo(9, "octo/unwanted")
		r.tell(hooks.Event{Kind: hooks.AccessGained})
		if h := r.houses.all[8]; h == nil || !h.served || h.log != nil {
			t.Errorf("octo/moon is %+v; want it served, and nothing built", h)
		}
		if r.houses.all[9] != nil {
			t.Error("what the configuration leaves out is served")
		}
	})
}

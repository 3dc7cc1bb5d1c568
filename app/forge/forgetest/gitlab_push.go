package forgetest

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// commitsTold is how many commits the webhook of a push has.
const commitsTold = 20

// Push commits on a branch, which it makes if need be (on top of the default one),
// and returns the commit. The author pushes.
func (p *Project) Push(tb TB, branch string, c Change) string {
	tb.Helper()
	defer p.g.hold()()
	ref := "refs/heads/" + branch
	before, err := p.bare.Resolve(ref)
	parent := before
	if err == nil && parent == "" && branch != p.branch {
		parent, err = p.bare.Resolve("refs/heads/" + p.branch)
	}
	if err != nil {
		tb.Fatalf("push to %s: %v", branch, err)
	}
	return p.commit(tb, ref, before, parent, c)
}

// ForcePush commits on top of a parent ("" for none) and moves the branch there,
// wherever it was.
func (p *Project) ForcePush(tb TB, branch, parent string, c Change) string {
	tb.Helper()
	defer p.g.hold()()
	ref := "refs/heads/" + branch
	before, err := p.bare.Resolve(ref)
	if err != nil {
		tb.Fatalf("force push to %s: %v", branch, err)
	}
	return p.commit(tb, ref, before, parent, c)
}

func (p *Project) commit(tb TB, ref, before, parent string, c Change) string {
	tb.Helper()
	if c.At.IsZero() {
		c.At = p.g.Clock.Now()
	}
	commit, err := p.bare.Commit(ref, parent, c)
	if err == nil {
		err = p.moved(p.g.user(c.Author), []update{{ref, before, commit}})
	}
	if err != nil {
		tb.Fatalf("push to %s: %v", ref, err)
	}
	return commit
}

// PushRefs makes refs, by full name, point to objects that are there, or removes
// those that point to "", in one push.
func (p *Project) PushRefs(tb TB, login string, refs map[string]string) {
	tb.Helper()
	defer p.g.hold()()
	var updates []update
	for _, ref := range sortedKeys(refs) {
		before, err := p.bare.Resolve(ref)
		if err == nil && refs[ref] == "" {
			err = p.bare.Delete(ref)
		} else if err == nil {
			err = p.bare.Put(ref, refs[ref])
		}
		if err != nil {
			tb.Fatalf("push %s: %v", ref, err)
		}
		updates = append(updates, update{ref, before, refs[ref]})
	}
	if err := p.moved(p.g.user(login), updates); err != nil {
		tb.Fatalf("push: %v", err)
	}
}

// PushAnnotatedTag makes a tag with a message, and returns the tag object.
func (p *Project) PushAnnotatedTag(tb TB, name, commit, message string) string {
	tb.Helper()
	defer p.g.hold()()
	before, err := p.bare.Resolve("refs/tags/" + name)
	if err != nil {
		tb.Fatalf("push tag %s: %v", name, err)
	}
	object, err := p.bare.Tag(name, commit, message, p.g.Clock.Now())
	if err == nil {
		err = p.moved(p.g.user(""), []update{{"refs/tags/" + name, before, object}})
	}
	if err != nil {
		tb.Fatalf("push tag %s: %v", name, err)
	}
	return object
}

// An update is a ref that a push moved; "" is no object.
type update struct{ ref, before, after string }

// moved tells who listens of a push: of each branch and tag, unless there are too
// many of them, and the system hooks of all together.
func (p *Project) moved(by *labUser, updates []update) error {
	branches, tags := 0, 0
	for _, u := range updates {
		if strings.HasPrefix(u.ref, "refs/heads/") {
			branches++
		} else if strings.HasPrefix(u.ref, "refs/tags/") {
			tags++
		}
	}
	for _, u := range updates {
		name, count := "push", branches
		if strings.HasPrefix(u.ref, "refs/tags/") {
			name, count = "tag_push", tags
		}
		if count > refsTold {
			continue
		}
		if err := p.tellPush(by, name, u); err != nil {
			return err
		}
	}
	p.tellUpdate(by, updates)
	for _, u := range updates {
		if err := p.follow(by, u); err != nil {
			return err
		}
	}
	return nil
}

func (p *Project) tellPush(by *labUser, name string, u update) error {
	body, err := p.pushJSON(by, u.ref, u.before, u.after)
	if err != nil {
		return err
	}
	body["object_kind"], body["event_name"] = name, name
	header := map[string]string{"push": "Push Hook", "tag_push": "Tag Push Hook"}[name]
	p.g.sendProject(p, name+"_events", header, body)
	system := maps.Clone(body)
	system["commits"] = []object{} // the count says how many
	delete(system, "object_kind")
	p.g.sendSystem(name, p, system)
	return nil
}

func (p *Project) tellUpdate(by *labUser, updates []update) {
	changes, refs := []object{}, []string{}
	for _, u := range updates {
		changes = append(changes, object{"before": orZero(u.before), "after": orZero(u.after), "ref": u.ref})
		refs = append(refs, u.ref)
	}
	p.g.sendSystem("repository_update", p, object{
		"event_name": "repository_update", "user_id": by.ID, "user_name": by.Login, "user_email": "", "user_avatar": nil,
		"project_id": p.id, "project": p.hookJSON(), "changes": changes, "refs": refs,
	})
}

// follow brings the merge requests up to date whose source a branch is.
func (p *Project) follow(by *labUser, u update) error {
	branch, ok := strings.CutPrefix(u.ref, "refs/heads/")
	if !ok || u.after == "" {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(p.g.projects)) {
		for _, m := range p.g.projects[id].merges {
			if m.from != p || m.branch != branch || m.state != "opened" {
				continue
			}
			old := m.head
			m.head = u.after
			if err := m.fetch(); err != nil {
				return err
			}
			m.tell("update", by, object{"oldrev": old}, nil)
		}
	}
	return nil
}

// hookJSON is a project as webhooks have it.
func (p *Project) hookJSON() object {
	clone := p.g.URL() + "/" + p.path + ".git"
	ssh := p.ssh()
	level := map[bool]int{true: 0, false: 20}[p.private]
	return object{
		"id": p.id, "name": filepath.Base(p.path), "description": "", "web_url": p.g.URL() + "/" + p.path, "avatar_url": nil,
		"git_ssh_url": ssh, "git_http_url": clone, "namespace": filepath.Dir(p.path), "visibility_level": level,
		"path_with_namespace": p.path, "default_branch": p.branch, "ci_config_path": nil, "homepage": p.g.URL() + "/" + p.path,
		"url": ssh, "ssh_url": ssh, "http_url": clone,
	}
}

// pushJSON is what a push's webhook says.
func (p *Project) pushJSON(by *labUser, ref, before, after string) (object, error) {
	o := object{
		"ref": ref, "before": orZero(before), "after": orZero(after), "ref_protected": slices.Contains(p.protected, filepath.Base(ref)),
		"checkout_sha": nil, "message": nil, "user_id": by.ID, "user_name": by.Login, "user_username": by.Login,
		"user_email": "", "user_avatar": nil, "project_id": p.id, "project": p.hookJSON(),
		"commits": []object{}, "total_commits_count": 0, "push_options": object{},
		"repository": object{"name": filepath.Base(p.path), "url": p.ssh(), "homepage": p.g.URL() + "/" + p.path},
	}
	if after == "" {
		return o, nil
	}
	head, err := p.bare.Peel(after)
	if err != nil {
		return nil, err
	}
	o["checkout_sha"] = head
	revisions := []string{head}
	if before != "" {
		revisions = append(revisions, "^"+before)
	}
	log, err := p.bare.Log(1000, revisions...)
	if err != nil {
		return nil, err
	}
	o["total_commits_count"] = len(log)
	commits := []object{}
	for _, c := range slices.Backward(log[:min(len(log), commitsTold)]) {
		commits = append(commits, p.commitJSON(c))
	}
	o["commits"] = commits
	return o, nil
}

// ssh is where git would fetch from over SSH, which the fake does not serve.
func (p *Project) ssh() string { return "git@example.com:" + p.path + ".git" }

func (p *Project) commitJSON(c Log) object {
	title, _, _ := strings.Cut(c.Message, "\n")
	return object{
		"id": c.Commit, "message": c.Message, "title": title, "timestamp": stamp(c.At),
		"url":    fmt.Sprintf("%s/%s/-/commit/%s", p.g.URL(), p.path, c.Commit),
		"author": object{"name": c.Author, "email": c.Email}, "added": []string{}, "modified": []string{}, "removed": []string{},
	}
}

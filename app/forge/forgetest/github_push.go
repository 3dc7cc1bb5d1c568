package forgetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	zero = "0000000000000000000000000000000000000000"
	// tagsTold is how many tags one push may have before GitHub tells nobody.
	tagsTold = 3
)

// Push commits on a branch, which it makes if need be (on top of the default one),
// and returns the commit. The author pushes.
func (r *Repo) Push(tb TB, branch string, c Change) string {
	tb.Helper()
	defer r.g.hold()()
	ref := "refs/heads/" + branch
	before, err := r.bare.Resolve(ref)
	parent := before
	if err == nil && parent == "" && branch != r.branch {
		parent, err = r.bare.Resolve("refs/heads/" + r.branch)
	}
	if err != nil {
		tb.Fatalf("push to %s: %v", branch, err)
	}
	return r.commit(tb, ref, before, parent, c)
}

// ForcePush commits on top of a parent ("" for none) and moves the branch there,
// wherever it was.
func (r *Repo) ForcePush(tb TB, branch, parent string, c Change) string {
	tb.Helper()
	defer r.g.hold()()
	ref := "refs/heads/" + branch
	before, err := r.bare.Resolve(ref)
	if err != nil {
		tb.Fatalf("force push to %s: %v", branch, err)
	}
	return r.commit(tb, ref, before, parent, c)
}

func (r *Repo) commit(tb TB, ref, before, parent string, c Change) string {
	tb.Helper()
	if c.At.IsZero() {
		c.At = r.g.Clock.Now()
	}
	commit, err := r.bare.Commit(ref, parent, c)
	if err == nil {
		err = r.moved(r.pusher(c.Author), ref, before, commit)
	}
	if err != nil {
		tb.Fatalf("push to %s: %v", ref, err)
	}
	return commit
}

func (r *Repo) pusher(login string) *Account {
	if login == "" {
		login = "octocat"
	}
	return r.g.account(login)
}

// CreateBranch makes a branch at a commit that is there already.
func (r *Repo) CreateBranch(tb TB, branch, commit string) {
	tb.Helper()
	r.put(tb, "refs/heads/"+branch, commit)
}

// MoveBranch makes a branch point to another commit that is there already.
func (r *Repo) MoveBranch(tb TB, branch, commit string) {
	tb.Helper()
	r.put(tb, "refs/heads/"+branch, commit)
}

// DeleteBranch removes a branch. Pull requests from it close.
func (r *Repo) DeleteBranch(tb TB, branch string) {
	tb.Helper()
	r.put(tb, "refs/heads/"+branch, "")
}

// PushTags makes light tags at a commit, in one push. GitHub tells nobody of more
// than three.
func (r *Repo) PushTags(tb TB, commit string, names ...string) {
	tb.Helper()
	if len(names) <= tagsTold {
		for _, name := range names {
			r.put(tb, "refs/tags/"+name, commit)
		}
		return
	}
	defer r.g.hold()()
	for _, name := range names {
		if err := r.bare.Put("refs/tags/"+name, commit); err != nil {
			tb.Fatalf("push tag %s: %v", name, err)
		}
	}
}

// PushAnnotatedTag makes a tag with a message, and returns the tag object.
func (r *Repo) PushAnnotatedTag(tb TB, name, commit, message string) string {
	tb.Helper()
	defer r.g.hold()()
	before, err := r.bare.Resolve("refs/tags/" + name)
	if err != nil {
		tb.Fatalf("push tag %s: %v", name, err)
	}
	object, err := r.bare.Tag(name, commit, message, r.g.Clock.Now())
	if err == nil {
		err = r.moved(r.pusher(""), "refs/tags/"+name, before, object)
	}
	if err != nil {
		tb.Fatalf("push tag %s: %v", name, err)
	}
	return object
}

// DeleteTag removes a tag.
func (r *Repo) DeleteTag(tb TB, name string) {
	tb.Helper()
	r.put(tb, "refs/tags/"+name, "")
}

// put moves a ref, or removes it, as somebody's push.
func (r *Repo) put(tb TB, ref, object string) {
	tb.Helper()
	defer r.g.hold()()
	if err := r.set(r.pusher(""), ref, object); err != nil {
		tb.Fatalf("push %s: %v", ref, err)
	}
}

// set moves a ref, or removes it, and tells who listens.
func (r *Repo) set(by *Account, ref, object string) error {
	before, err := r.bare.Resolve(ref)
	if err != nil {
		return err
	}
	if object == "" {
		err = r.bare.Delete(ref)
	} else {
		err = r.bare.Put(ref, object)
	}
	if err != nil {
		return err
	}
	return r.moved(by, ref, before, object)
}

// moved tells who listens that a ref moved: of the push, of the check suite that is
// to be, and of the pull requests whose head it is.
func (r *Repo) moved(by *Account, ref, before, after string) error {
	in := r.g.installation(r)
	body, err := r.pushJSON(by, ref, before, after)
	if err != nil {
		return err
	}
	r.g.send(in, r, "push", "", by, body)
	branch, ok := strings.CutPrefix(ref, "refs/heads/")
	if !ok {
		return nil
	}
	if after != "" && in != nil {
		s := r.g.suite(r, after)
		s.branch, s.before = branch, before
		if in.permissions["checks"] == "write" {
			r.g.sendSuite(in, s, "requested", by)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.g.repos)) {
		for _, p := range r.g.repos[id].pulls {
			if p.from == r && p.branch == branch && p.open {
				if err := p.follow(by, after); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// pushJSON is what a push's webhook says.
func (r *Repo) pushJSON(by *Account, ref, before, after string) (object, error) {
	o := object{
		"ref": ref, "before": orZero(before), "after": orZero(after), "base_ref": nil,
		"created": before == "", "deleted": after == "", "forced": before != "" && after != "" && !r.bare.IsAncestor(before, after),
		"compare": fmt.Sprintf("%s/%s/compare/%.12s...%.12s", r.g.URL(), r.fullName(), orZero(before), orZero(after)),
		"commits": []object{}, "head_commit": nil,
		"pusher": object{"name": by.Login, "email": by.Login + "@example.com"},
	}
	if after == "" {
		return o, nil
	}
	head, err := r.bare.Peel(after)
	if err != nil {
		return nil, err
	}
	if o["head_commit"], err = r.pushedJSON(head); err != nil {
		return nil, err
	}
	if before == "" {
		return o, nil // the commits may be elsewhere already, and are left out
	}
	log, err := r.bare.Log(20, before+".."+after)
	if err != nil {
		return nil, err
	}
	commits := []object{}
	for _, c := range slices.Backward(log) {
		one, err := r.pushedJSON(c.Commit)
		if err != nil {
			return nil, err
		}
		commits = append(commits, one)
	}
	o["commits"] = commits
	return o, nil
}

func orZero(object string) string {
	if object == "" {
		return zero
	}
	return object
}

// pushedJSON is a commit as a push's webhook shows it.
func (r *Repo) pushedJSON(commit string) (object, error) {
	log, err := r.bare.Log(1, commit)
	if err != nil {
		return nil, err
	}
	c := log[0]
	parent := ""
	if len(c.Parents) > 0 {
		parent = c.Parents[0]
	}
	changed, err := r.bare.Changed(parent, commit)
	if err != nil {
		return nil, err
	}
	files := map[string][]string{"A": {}, "D": {}, "M": {}}
	for _, path := range sortedKeys(changed) {
		files[changed[path]] = append(files[changed[path]], path)
	}
	who := object{"name": c.Author, "email": c.Email, "username": c.Author}
	return object{
		"id": c.Commit, "tree_id": c.Tree, "distinct": true, "message": c.Message, "timestamp": stamp(c.At),
		"url":    fmt.Sprintf("%s/%s/commit/%s", r.g.URL(), r.fullName(), c.Commit),
		"author": who, "committer": who, "added": files["A"], "removed": files["D"], "modified": files["M"],
	}, nil
}

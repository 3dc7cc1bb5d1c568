package app

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/git"
)

// A desk makes triggers of what people ask for and puts them into the inbox,
// where they are durable. It needs no lock: a server finds them there.
type desk struct {
	c     *cli
	repo  *git.Repository
	store *storage.Store
	vault *vault
}

// deskAt is the desk of a repository that no server answers for.
func (c *cli) deskAt(repo *git.Repository) desk {
	return desk{c, repo, c.openStore(repo), &vault{c: c, repo: repo}}
}

func (c *cli) newTriggerID() string { return storage.NewTriggerID(c.now(), rand.Uint64()) }

// idOf is the id of the trigger of what somebody asks for. An equal request of the
// same once gets the same, and an id that was answered is answered by its build.
func (d desk) idOf(once web.Once, ask any) string {
	if once == (web.Once{}) {
		return d.c.newTriggerID()
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "form %s %#v", once.Text, ask) // which prints maps in the order of their keys
	return storage.NewTriggerID(once.At, binary.BigEndian.Uint64(sum.Sum(nil)))
}

// Start implements web.Desk.
func (d desk) Start(ctx context.Context, once web.Once, ask api.Start) (plan.Trigger, error) {
	rev := ask.Ref
	if rev == "" {
		rev = "HEAD"
	}
	ref, commit, err := d.repo.Resolve(rev)
	if err != nil {
		return plan.Trigger{}, fmt.Errorf("find %s: %w", rev, err)
	}
	name := ask.Name
	if name == "" {
		name = defaultName
	}
	t := plan.Trigger{
		ID: d.idOf(once, ask), Event: plan.EventManual, Ref: ref, Commit: planCommit(commit), Actor: ask.Actor,
		Received: d.c.clock(), Name: name, Parameters: ask.Parameters,
		NoReuse: ask.NoReuse,
	}
	t.Request = t.ID
	if err := d.check(ctx, t); err != nil {
		return plan.Trigger{}, byParameter(err)
	}
	return t, d.accept(ctx, t)
}

// check draws the plan once, so that whoever asks hears at once what is wrong,
// and refuses values that must not be stored.
func (d desk) check(ctx context.Context, t plan.Trigger) error {
	tree, commit, err := view{d.repo}.Tree(ctx, t.Commit)
	if err != nil {
		return err
	}
	config, findings, err := blueprint.Load(tree)
	if err != nil {
		return err
	}
	if err := findings.Err(); err != nil {
		return err
	}
	if len(config.Blueprints()) == 0 {
		return usage("there is no configuration at %s", commit.Short()).hint("velocity init writes one")
	}
	p, err := config.Draw(blueprint.Request{
		Name: t.Name, Trigger: t, Config: commit, Git: view{d.repo}.Facts(ctx, commit, t.Ref), Stored: d.stored,
	})
	var missing *blueprint.MissingError
	if errors.As(err, &missing) { // the variables of whoever asks are not looked at
		return usage("%w", missing).hint("--param name=value gives one; velocity secret set keeps a secret")
	}
	if err != nil {
		return err
	}
	for _, name := range secretNames(p) {
		if _, given := t.Parameters[name]; given {
			return usage("parameter %s is secret: what is asked of a server is kept in git, where a secret must not be", name)
		}
	}
	return nil
}

// stored tells which secrets there are: that one cannot be read is for the build to
// say.
func (d desk) stored(name string) bool {
	has, err := d.vault.Has(name)
	return has || err != nil
}

// secretNames are the secret parameters of a plan.
func secretNames(p *plan.Plan) []string {
	var names []string
	for _, s := range p.Stages {
		for _, t := range s.Tasks {
			for _, param := range t.Parameters {
				if param.Secret && param.Name != "" {
					names = append(names, param.Name)
				}
			}
		}
	}
	return names
}

// Rerun implements web.Desk: the same pipeline at the same commit, as a new
// build, which may keep what succeeded.
func (d desk) Rerun(ctx context.Context, once web.Once, act api.Act) (plan.Trigger, error) {
	b, err := d.Find(ctx, act.Build)
	if err != nil {
		return plan.Trigger{}, err
	}
	if b.Trigger.Event == plan.EventLocal {
		return plan.Trigger{}, usage("build %s was made by velocity run: velocity start builds it here", b.ID)
	}
	if act.Failed {
		if err := restFails(b); err != nil {
			return plan.Trigger{}, err
		}
	}
	t := again(b, act.Failed, plan.Trigger{ID: d.idOf(once, act), Actor: act.Actor, Received: d.c.clock()})
	return t, d.accept(ctx, t)
}

// again is the trigger of a build that runs again, what failed or all of it, for
// somebody who may approve. It gets its id, time and actor from as.
func again(b *build.Build, failed bool, as plan.Trigger) plan.Trigger {
	t := b.Trigger
	t.ID, t.Actor, t.Received = as.ID, as.Actor, as.Received
	t.Request, t.Parent, t.Name, t.Failed = t.ID, b.ID.String(), b.Name, failed
	t.Skip, t.MayApprove = false, true
	return t
}

// restFails refuses to build the rest of a build of which there is none.
func restFails(b *build.Build) error {
	switch {
	case !b.State().Final():
		return usage("build %s is not over: only then is it known what failed", b.ID).hint("velocity cancel %s ends it", b.ID)
	case b.State() == build.Succeeded:
		return usage("nothing of build %s failed", b.ID).hint("velocity rerun %s builds all of it again", b.ID)
	case b.Plan == "":
		return usage("build %s has no plan: %s", b.ID, b.Reason()).hint("velocity rerun %s draws a new one", b.ID)
	}
	return nil
}

func (d desk) accept(ctx context.Context, t plan.Trigger) error {
	if err := d.store.Accept(ctx, []plan.Trigger{t}); err != nil {
		return fmt.Errorf("put trigger into the inbox: %w", err)
	}
	return nil
}

// Log implements web.Desk.
func (d desk) Log(ctx context.Context, id build.ID, task string, attempt int) ([]byte, error) {
	text, _, err := d.store.Log(ctx, id, task, attempt)
	if errors.Is(err, storage.ErrNoLog) {
		return nil, nil
	}
	return text, err
}

// Find implements web.Desk.
func (d desk) Find(ctx context.Context, text string) (*build.Build, error) {
	return (&record{repo: d.repo, store: d.store}).build(ctx, text)
}

// builds lists what a query of the API selects.
func (d desk) builds(ctx context.Context, ask api.Query) ([]*build.Build, error) {
	f, err := flagsOf(ask)
	if err != nil {
		return nil, err
	}
	q, err := d.c.query(f)
	if err != nil {
		return nil, err
	}
	r := &record{repo: d.repo, store: d.store}
	if err := r.complete(ctx, f, &q); err != nil {
		return nil, err
	}
	return d.store.Builds(ctx, q)
}

// recordedReasons tells what the tasks of a build that are not over wait for.
func recordedReasons(b *build.Build, task string) []api.Reason {
	reasons := []api.Reason{}
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			t := &b.Stages[i].Tasks[j]
			if t.Key == task || task == "" && !t.State.Final() {
				why := b.TaskReason(t)
				if why == build.ReasonHeld {
					why += fmt.Sprintf("; velocity approve %s lets it start", b.ID)
				}
				reasons = append(reasons, api.Reason{Task: t.Key, Name: t.Name, State: string(t.State), Why: why})
			}
		}
	}
	return reasons
}

package docker

import (
	"context"
	"crypto/rand"
	"slices"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/builder/executor"
)

// leaveContainer makes what a builder that was killed would leave behind.
func leaveContainer(t *testing.T, api *client.Client, labels map[string]string, start bool) string {
	t.Helper()
	name := imageFor(t)
	made, err := api.ContainerCreate(t.Context(), &container.Config{
		Image: name, Cmd: []string{"/bin/sleep", "1000"}, Labels: labels,
		Volumes: map[string]struct{}{"/anonymous": {}},
	}, nil, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = removeContainer(context.Background(), api, made.ID) })
	if start {
		if err := api.ContainerStart(t.Context(), made.ID, container.StartOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return made.ID
}

func exists(t *testing.T, api *client.Client, id string) bool {
	t.Helper()
	_, err := api.ContainerInspect(t.Context(), id)
	return err == nil
}

func TestReapTakesOnlyItsOwn(t *testing.T) {
	e := newExecutor(t, Limits{})
	api := newClient(t)
	owner := func(builder, task string) executor.Owner {
		return executor.Owner{Builder: builder, Build: "k3f9a2-1", Task: task, Attempt: 2}
	}
	dead, alive := owner(e.builder, "s0t1"), owner(e.builder, "s1t0")
	other := owner(e.builder+"-2", "s0t1") // a name that begins alike
	keep := []string{
		leaveContainer(t, api, labels(e.builder, alive), true),
		leaveContainer(t, api, labels(other.Builder, other), true),
		leaveContainer(t, api, nil, false),
	}
	remove := []string{
		leaveContainer(t, api, labels(e.builder, dead), true),
		leaveContainer(t, api, labels(e.builder, dead), false),
	}
	n, err := e.Reap(t.Context(), func(owner string) bool { return owner == alive.String() })
	if n != len(remove) || err != nil {
		t.Errorf("Reap = %d, %v, want %d", n, err, len(remove))
	}
	gone := slices.DeleteFunc(slices.Concat(keep, remove), func(id string) bool { return exists(t, api, id) })
	if diff := cmp.Diff(remove, gone); diff != "" {
		t.Errorf("removed (-want +got):\n%s", diff)
	}

	asked := 0
	if _, err := e.Reap(t.Context(), func(string) bool { asked++; return false }); err != nil || asked != 1 {
		t.Errorf("second Reap asked for %d owners, %v, want the one that ran", asked, err)
	}
}

func TestReapNetworksAndVolumes(t *testing.T) {
	e := newExecutor(t, Limits{})
	api := newClient(t)
	owner := executor.Owner{Builder: e.builder, Build: "k3f9a2-1", Task: "s0t0", Attempt: 1}
	mine, foreign := labels(e.builder, owner), labels(e.builder+"-2", owner)
	name := "velocity-test-" + rand.Text()
	for suffix, l := range map[string]map[string]string{"": mine, "-foreign": foreign} {
		net, err := api.NetworkCreate(t.Context(), name+suffix, network.CreateOptions{Labels: l, Internal: true})
		if err != nil {
			t.Fatal(err)
		}
		vol, err := api.VolumeCreate(t.Context(), volume.CreateOptions{Name: name + suffix, Labels: l})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = api.NetworkRemove(context.Background(), net.ID)
			_ = api.VolumeRemove(context.Background(), vol.Name, true)
		})
	}
	if n, err := e.Reap(t.Context(), func(string) bool { return false }); n != 2 || err != nil {
		t.Errorf("Reap = %d, %v, want 2", n, err)
	}
	for suffix, want := range map[string]bool{"": false, "-foreign": true} {
		_, netErr := api.NetworkInspect(t.Context(), name+suffix, network.InspectOptions{})
		_, volErr := api.VolumeInspect(t.Context(), name+suffix)
		if (netErr == nil) != want || (volErr == nil) != want {
			t.Errorf("%q: network %v, volume %v, want there: %v", name+suffix, netErr, volErr, want)
		}
	}
}

// The labels and the owner's word for itself must not drift apart.
func TestOwnerOfLabels(t *testing.T) {
	o := executor.Owner{Builder: "b-1", Build: "k3f9a2-1234", Task: "s0t1", Attempt: 12}
	if got := ownerOf(labels(o.Builder, o)); got != o.String() {
		t.Errorf("owner of its labels = %q, want %q", got, o)
	}
}

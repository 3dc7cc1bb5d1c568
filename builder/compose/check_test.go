package compose

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// newPolicy is a policy for a workspace with a file, a directory and links.
func newPolicy(t *testing.T) policy {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"dir/sub", "other"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "file"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"etc": "/etc", "up": "..", "in": "dir/sub", "nowhere": "/nonexistent/x"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	return policy{
		root: root, project: "pp", labels: map[string]string{"velocity.builder": "b$1"},
		limits: Limits{PIDs: 100, Memory: 1 << 30, CPUs: 2},
		source: onMachine,
	}
}

// onMachine is where the engine finds files of a plugin that runs beside it.
func onMachine(path string) (string, bool, error) { return path, false, nil }

// ofService is a project of one service with these fields.
func ofService(fields string) string {
	return `{"services": {"a": {"image": "i", ` + fields + `}}}`
}

// hostile are fields of a service, each of which would give it a part of the
// builder's machine.
var hostile = map[string]string{
	"privileged":                            `"privileged": true`,
	"cap_add":                               `"cap_add": ["SYS_ADMIN"]`,
	"devices":                               `"devices": [{"source": "/dev/sda", "target": "/dev/sda", "permissions": "rwm"}]`,
	"device_cgroup_rules":                   `"device_cgroup_rules": ["c 1:3 mr"]`,
	"gpus":                                  `"gpus": [{"count": -1}]`,
	"network_mode":                          `"network_mode": "host"`,
	"network_mode ":                         `"network_mode": "container:abc"`,
	"pid":                                   `"pid": "host"`,
	"pid ":                                  `"pid": "container:abc"`,
	"ipc":                                   `"ipc": "host"`,
	"uts":                                   `"uts": "host"`,
	"userns_mode":                           `"userns_mode": "host"`,
	"cgroup":                                `"cgroup": "host"`,
	"cgroup_parent":                         `"cgroup_parent": "/"`,
	"runtime":                               `"runtime": "evil"`,
	"isolation":                             `"isolation": "process"`,
	"security_opt[0]":                       `"security_opt": ["seccomp=unconfined"]`,
	"security_opt[0] ":                      `"security_opt": ["no-new-privileges:false"]`,
	"sysctls.kernel.x":                      `"sysctls": {"kernel.x": "1"}`,
	"external_links":                        `"external_links": ["x"]`,
	"volumes_from":                          `"volumes_from": ["container:abc"]`,
	"use_api_socket":                        `"use_api_socket": true`,
	"provider":                              `"provider": {"type": "/bin/sh"}`,
	"models":                                `"models": {"x": {}, "y": {"z": 1}}`,
	"credential_spec":                       `"credential_spec": {"file": "/etc/passwd"}`,
	"annotations":                           `"annotations": {"run.oci.x": "1"}`,
	"blkio_config":                          `"blkio_config": {"device_read_bps": [{"path": "/dev/sda", "rate": 1}]}`,
	"oom_score_adj":                         `"oom_score_adj": -1000`,
	"oom_kill_disable":                      `"oom_kill_disable": true`,
	"storage_opt":                           `"storage_opt": {"size": "1"}`,
	"something_new":                         `"something_new": {"x": [0, "y"]}`,
	"labels.velocity.task":                  `"labels": {"velocity.task": "x"}`,
	"labels.com.docker.compose.project":     `"labels": {"com.docker.compose.project": "x"}`,
	"post_start[0].privileged":              `"post_start": [{"command": ["x"], "privileged": true}]`,
	"deploy.resources.reservations.devices": `"deploy": {"resources": {"reservations": {"devices": [{"count": 1}]}}}`,
	"deploy.mode":                           `"deploy": {"mode": "global"}`,
	"scale":                                 `"scale": 1000`,
	"networks.default.driver_opts":          `"networks": {"default": {"driver_opts": {"x": "y"}}}`,
	"build.context":                         `"build": {"context": "/etc"}`,
	"build.context ":                        `"build": {"context": "https://example.com/x.git"}`,
	"build.dockerfile":                      `"build": {"context": "ROOT", "dockerfile": "../../etc/passwd"}`,
	"build.dockerfile ":                     `"build": {"context": "ROOT", "dockerfile": "etc/passwd"}`,
	"build.additional_contexts.x":           `"build": {"context": "ROOT", "additional_contexts": {"x": "/"}}`,
	"build.ssh":                             `"build": {"context": "ROOT", "ssh": ["default"]}`,
	"build.privileged":                      `"build": {"context": "ROOT", "privileged": true}`,
	"build.entitlements":                    `"build": {"context": "ROOT", "entitlements": ["security.insecure"]}`,
	"build.network":                         `"build": {"context": "ROOT", "network": "host"}`,
	"build.cache_from[0]":                   `"build": {"context": "ROOT", "cache_from": ["type=local,src=/etc"]}`,
	"build.cache_to":                        `"build": {"context": "ROOT", "cache_to": ["type=local,dest=/etc"]}`,
	"volumes[0].source":                     `"volumes": [{"type": "bind", "source": "/", "target": "/x"}]`,
	"volumes[0].source ":                    `"volumes": [{"type": "bind", "source": "/var/run/docker.sock", "target": "/x"}]`,
	"volumes[0].source  ":                   `"volumes": [{"type": "bind", "source": "ROOT/../x", "target": "/x"}]`,
	"volumes[0].source   ":                  `"volumes": [{"type": "bind", "source": "ROOT/etc/passwd", "target": "/x"}]`,
	"volumes[0].source    ":                 `"volumes": [{"type": "bind", "source": "ROOT/up", "target": "/x"}]`,
	"volumes[0].source     ":                `"volumes": [{"type": "bind", "source": "ROOT/nowhere", "target": "/x"}]`,
	"volumes[0].source      ":               `"volumes": [{"type": "bind", "source": "ROOT/$X", "target": "/x"}]`,
	"volumes[0].target":                     `"volumes": [{"type": "bind", "source": "ROOT", "target": "/x/../proc"}]`,
	"volumes[0].type":                       `"volumes": [{"type": "npipe", "source": "x", "target": "/x"}]`,
	"volumes[0].bind.propagation":           `"volumes": [{"type": "bind", "source": "ROOT", "target": "/x", "bind": {"propagation": "rshared"}}]`,
	"volumes[0].volume.subpath":             `"volumes": [{"type": "volume", "source": "v", "target": "/x", "volume": {"subpath": "../.."}}]`,
	"volumes[1]":                            `"volumes": [{"type": "bind", "source": "ROOT/dir", "target": "/x"}, {"type": "bind", "source": "ROOT/in", "target": "/y"}]`,
}

// Every hostile field is refused, by the names of its service and itself.
func TestRefusals(t *testing.T) {
	p := newPolicy(t)
	for field, fields := range hostile {
		_, err := check([]byte(strings.ReplaceAll(ofService(fields), "ROOT", p.root)), p)
		if want := "refused: services.a." + strings.TrimSpace(field) + ": "; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", fields, err, want)
		}
	}
	for at, project := range map[string]string{
		"networks.n.name":       `"networks": {"n": {"name": "host"}}`,
		"networks.n.external":   `"networks": {"n": {"name": "pp_n", "external": true}}`,
		"networks.n.driver":     `"networks": {"n": {"driver": "macvlan"}}`,
		"networks.n.ipam":       `"networks": {"n": {"ipam": {"config": [{"subnet": "0.0.0.0/1"}]}}}`,
		"volumes.v.name":        `"volumes": {"v": {"name": "another"}}`,
		"volumes.v.external":    `"volumes": {"v": {"external": true}}`,
		"volumes.v.driver":      `"volumes": {"v": {"driver": "nfs"}}`,
		"volumes.v.driver_opts": `"volumes": {"v": {"driver_opts": {"type": "none", "o": "bind", "device": "/"}}}`,
		"secrets.s.file":        `"secrets": {"s": {"file": "/etc/shadow"}}`,
		"secrets.s.environment": `"secrets": {"s": {"environment": "HOME"}}`,
		"configs.c.file":        `"configs": {"c": {"file": "ROOT/etc/passwd"}}`,
		"configs.c.external":    `"configs": {"c": {"file": "ROOT/file", "external": true}}`,
		"models":                `"models": {"m": {"model": "x"}}`,
	} {
		text := `{"services": {"a": {"image": "i"}}, ` + project + `}`
		_, err := check([]byte(strings.ReplaceAll(text, "ROOT", p.root)), p)
		if want := at + ": "; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", project, err, want)
		}
	}
}

// What is allowed is passed on, marked, limited and with final paths.
func TestChecked(t *testing.T) {
	p := newPolicy(t)
	text := strings.ReplaceAll(`{"name": "pp", "x-more": 1, "services": {"a": {
		"image": "i", "privileged": false, "command": null, "environment": {"A": "$$x", "B": null}, "container_name": "fixed",
		"networks": {"default": null}, "ports": [{"target": 80, "published": "80"}], "logging": {"driver": "syslog"}, "restart": "no",
		"deploy": {"replicas": 2, "resources": {"limits": {"memory": "1048576", "cpus": 64}}, "placement": {}},
		"volumes": [{"type": "bind", "source": "ROOT/in", "target": "/x", "bind": {"create_host_path": true}}, {"type": "volume", "target": "/y", "volume": {}}]
	}}, "networks": {"default": {"name": "pp_default", "ipam": {}}}, "volumes": {"v": {"name": "pp_v"}}, "secrets": {"s": {"name": "pp_s", "file": "ROOT/file"}}}`, "ROOT", p.root)
	got, err := check([]byte(text), p)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(`{"name": "pp", "services": {"a": {
		"image": "i", "command": null, "environment": {"A": "$$x"}, "restart": "no", "labels": {"velocity.builder": "b$$1"},
		"networks": {"default": {"aliases": ["fixed"]}}, "logging": {"driver": "none"}, "deploy": {"replicas": 2, "resources": {}},
		"pids_limit": 100, "mem_limit": "1048576", "memswap_limit": "1048576", "cpus": 2,
		"security_opt": ["no-new-privileges:true"], "cap_drop": ["NET_RAW", "MKNOD"],
		"volumes": [{"type": "bind", "source": "ROOT/dir/sub", "target": "/x", "bind": {"create_host_path": false}}, {"type": "volume", "target": "/y"}]
	}}, "networks": {"default": {"labels": {"velocity.builder": "b$$1"}}}, "volumes": {"v": {"labels": {"velocity.builder": "b$$1"}}}, "secrets": {"s": {"file": "ROOT/file"}}}`, "ROOT", p.root)
	if diff := cmp.Diff(decoded(t, want), decoded(t, string(got.json))); diff != "" {
		t.Errorf("checked (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]container{{"a-1", "a-1"}, {"a-2", "a-2"}}, got.containers, cmp.AllowUnexported(container{})); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
}

func decoded(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// Whatever stands beside it, a hostile field is refused.
func TestHostileAmongOthers(t *testing.T) {
	p := newPolicy(t)
	var fields []string
	for _, text := range hostile {
		fields = append(fields, strings.ReplaceAll(text, "ROOT", p.root))
	}
	harmless := []string{`"tty": true`, `"user": "1"`, `"working_dir": "/"`, `"hostname": "h"`, `"read_only": true`, `"init": true`, `"expose": ["1"]`, `"x-y": 1`}
	rapid.Check(t, func(rt *rapid.T) {
		beside := rapid.SliceOfNDistinct(rapid.SampledFrom(harmless), 0, len(harmless), rapid.ID).Draw(rt, "beside")
		all := append(beside, rapid.SampledFrom(fields).Draw(rt, "hostile"))
		service := `{"image": "i", ` + strings.Join(rapid.Permutation(all).Draw(rt, "fields"), ", ") + `}`
		project := fmt.Sprintf(`{"services": {"b": {"image": "j"}, %q: %s}}`, rapid.StringMatching(`[a-z]{1,8}x`).Draw(rt, "name"), service)
		if got, err := check([]byte(project), p); err == nil {
			rt.Fatalf("check(%s) = %s", project, got.json)
		}
	})
}

// FuzzCheck: whatever a plugin prints, the checker ends, and what it passes has
// none of the fields that are refused and no mount from outside the workspace.
func FuzzCheck(f *testing.F) {
	f.Add([]byte(`{"services": {"a": {"image": "i", "volumes": [{"type": "bind", "source": "/x", "target": "/y"}]}}}`))
	for _, fields := range hostile {
		f.Add([]byte(ofService(fields)))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p := policy{root: t.TempDir(), project: "pp", labels: map[string]string{"l": "1"}, limits: Limits{PIDs: 1}, source: onMachine}
		got, err := check(text, p)
		if err != nil {
			return
		}
		var passed struct {
			Services map[string]map[string]json.RawMessage
		}
		if err := json.Unmarshal(got.json, &passed); err != nil || len(passed.Services) == 0 {
			t.Fatalf("passed %s: %v", got.json, err)
		}
		for _, service := range passed.Services {
			for _, field := range []string{"privileged", "cap_add", "devices", "gpus", "runtime", "uts", "userns_mode", "provider", "ports", "container_name"} {
				if service[field] != nil {
					t.Errorf("passed %s of %s", field, text)
				}
			}
			var mounts []struct{ Type, Source string }
			_ = json.Unmarshal(service["volumes"], &mounts)
			for _, m := range mounts {
				if m.Type == "bind" && !strings.HasPrefix(m.Source, quoted(p.root)) {
					t.Errorf("passed the mount %s of %s", m.Source, text)
				}
			}
		}
	})
}

package compose

import (
	"fmt"
	"strings"
)

// keep leaves a value as it is: it says nothing about anybody but the project.
func keep(_ *checker, _ string, value any) any { return value }

// drop leaves a value out: here it is of no use.
func drop(*checker, string, any) any { return nil }

// refused refuses any value that says something.
func refused(why string) rule {
	return func(c *checker, at string, value any) any {
		if empty(value) {
			return nil
		}
		return c.refuse(at, why)
	}
}

// only allows some texts, and those with one of the endings of "NAME:".
func only(allowed ...string) rule {
	return func(c *checker, at string, value any) any {
		s, err := text(value)
		if empty(value) {
			return nil
		}
		for _, a := range allowed {
			if err == nil && (s == a || strings.HasSuffix(a, ":") && strings.HasPrefix(s, a)) {
				return value
			}
		}
		return c.refuse(at, fmt.Sprintf("%v is not one of %s", value, strings.Join(allowed, ", ")))
	}
}

// object is a rule for an object with a table of its own.
func object(table map[string]rule) rule {
	return func(c *checker, at string, value any) any {
		if fields := c.object(at, value, table); len(fields) > 0 {
			return fields
		}
		return nil
	}
}

// list is a rule for a list of equals.
func list(item rule) rule {
	return func(c *checker, at string, value any) any { return c.list(at, value, item) }
}

// known drops entries without a value: they would be read from the environment
// of the plugin.
func known(_ *checker, _ string, value any) any {
	if fields, ok := value.(map[string]any); ok {
		for name, v := range fields {
			if v == nil {
				delete(fields, name)
			}
		}
	}
	return value
}

// ownLabels refuses labels that say whose something is.
func ownLabels(c *checker, at string, value any) any {
	fields, ok := value.(map[string]any)
	if !ok {
		return refused("it is not an object")(c, at, value)
	}
	for name := range fields {
		if plain := strings.ToLower(name); strings.Contains(name, "$") || strings.HasPrefix(plain, "velocity.") || strings.HasPrefix(plain, "com.docker.") {
			return c.refuse(at+"."+name, "this label is not the project's to set")
		}
	}
	return value
}

const (
	whyPrivilege = "a service gets no privileges"
	whyDevices   = "a service gets none of the machine's devices"
	whyNamespace = "a service gets none of the machine's namespaces"
	whyForeign   = "it does not belong to the project"
	whyGoverned  = "the builder decides this"
)

// serviceRules are the fields of a service. What is not here is refused.
var serviceRules = map[string]rule{
	"attach": keep, "command": keep, "cpu_count": keep, "cpu_percent": keep, "cpu_period": keep,
	"cpu_quota": keep, "cpu_shares": keep, "cpuset": keep, "depends_on": keep, "dns": keep, "dns_opt": keep,
	"dns_search": keep, "domainname": keep, "entrypoint": keep, "expose": keep, "extra_hosts": keep,
	"group_add": keep, "healthcheck": keep, "hostname": keep, "image": keep, "init": keep, "links": keep,
	"mem_reservation": keep, "mem_swappiness": keep, "platform": keep, "profiles": keep, "pull_policy": keep,
	"read_only": keep, "restart": keep, "scale": keep, "shm_size": keep, "stdin_open": keep,
	"stop_grace_period": keep, "stop_signal": keep, "tmpfs": keep, "tty": keep, "ulimits": keep, "user": keep,
	"working_dir": keep, "cap_drop": keep, "cpus": keep, "mem_limit": keep, "memswap_limit": keep, "pids_limit": keep,

	"environment": known, "labels": ownLabels, "build": object(buildRules), "deploy": object(deployRules),
	"volumes": list(mountRule), "secrets": list(object(referenceRules)), "configs": list(object(referenceRules)),
	"networks": serviceNetworks, "sysctls": netSysctls, "container_name": keep,
	"network_mode": only("none", "bridge", "default", "service:"), "ipc": only("private", "shareable", "none", "service:"),
	"pid": only("service:"), "cgroup": only("private"), "security_opt": noNewPrivileges,
	"post_start": list(object(hookRules)), "pre_stop": list(object(hookRules)),

	// The values of env_file and label_file are in environment and labels by now.
	"env_file": drop, "label_file": drop, "develop": drop, "logging": drop, "ports": drop,

	"privileged": refused(whyPrivilege), "cap_add": refused(whyPrivilege), "userns_mode": refused(whyNamespace),
	"uts": refused(whyNamespace), "devices": refused(whyDevices), "device_cgroup_rules": refused(whyDevices),
	"gpus": refused(whyDevices), "blkio_config": refused(whyDevices), "use_api_socket": refused("a service does not get the engine's socket"),
	"cgroup_parent": refused(whyGoverned), "runtime": refused(whyGoverned), "isolation": refused(whyGoverned),
	"oom_kill_disable": refused(whyGoverned), "oom_score_adj": refused(whyGoverned), "annotations": refused(whyGoverned),
	"storage_opt": refused(whyGoverned), "volume_driver": refused(whyGoverned), "credential_spec": refused(whyGoverned),
	"provider": refused("programs of the builder's machine are not run"), "models": refused("programs of the builder's machine are not run"),
	"external_links": refused(whyForeign), "volumes_from": refused("name the volumes instead"),
}

var (
	hookRules = map[string]rule{
		"command": keep, "user": keep, "working_dir": keep, "environment": known, "privileged": refused(whyPrivilege),
	}
	deployRules = map[string]rule{
		"mode": only("replicated"), "replicas": keep, "restart_policy": keep, "labels": drop, "update_config": drop,
		"rollback_config": drop, "resources": object(map[string]rule{
			"limits":       object(map[string]rule{"cpus": keep, "memory": keep, "pids": keep}),
			"reservations": object(map[string]rule{"cpus": keep, "memory": keep, "devices": refused(whyDevices)}),
		}),
	}
	buildRules = map[string]rule{
		"args": known, "labels": ownLabels, "dockerfile_inline": keep, "no_cache": keep, "pull": keep, "target": keep,
		"tags": keep, "platforms": keep, "shm_size": keep, "ulimits": keep, "extra_hosts": keep,
		"context": buildContext, "dockerfile": keep, "additional_contexts": otherContexts,
		"cache_from": list(plainImage), "network": only("default", "none"), "secrets": list(object(referenceRules)),
		"privileged": refused(whyPrivilege), "entitlements": refused(whyPrivilege), "ssh": refused("a build gets no keys of the builder"),
		"cache_to": refused(whyGoverned), "isolation": refused(whyGoverned),
	}
	referenceRules = map[string]rule{"source": keep, "target": keep, "uid": keep, "gid": keep, "mode": keep}
	mountRules     = map[string]rule{
		"type": only("bind", "volume", "tmpfs"), "source": keep, "target": mountTarget, "read_only": keep, "consistency": drop,
		"bind": object(map[string]rule{
			"create_host_path": drop, "propagation": only("private", "rprivate"), "selinux": refused("files keep their labels"),
		}),
		"volume": object(map[string]rule{"nocopy": keep}),
		"tmpfs":  object(map[string]rule{"size": keep, "mode": keep}),
	}
	networkRules = map[string]rule{
		"name": keep, "driver": only("bridge"), "internal": keep, "attachable": drop, "enable_ipv4": keep, "enable_ipv6": keep,
		"labels": ownLabels, "external": refused(whyForeign), "driver_opts": refused(whyGoverned), "ipam": refused(whyGoverned),
	}
	volumeRules = map[string]rule{
		"name": keep, "driver": only("local"), "labels": ownLabels, "external": refused(whyForeign),
		"driver_opts": refused("a volume holds no files of the machine"),
	}
	fileRules = map[string]rule{
		"name": drop, "file": keep, "labels": drop, "external": refused(whyForeign), "driver": refused(whyGoverned),
		"driver_opts": refused(whyGoverned), "template_driver": refused(whyGoverned),
		"environment": refused("only a file of the workspace can be its source"), "content": refused("only a file of the workspace can be its source"),
	}
	connectionRules = map[string]rule{"aliases": keep, "priority": keep, "gw_priority": keep}
)

// serviceNetworks are the networks a service is in. That they are the project's
// own is the plugin's to check.
func serviceNetworks(c *checker, at string, value any) any {
	return c.each(at, value, func(at, _ string, fields map[string]any) { c.object(at, fields, connectionRules) })
}

// netSysctls allows what lies in a network namespace, which is the service's own.
func netSysctls(c *checker, at string, value any) any {
	fields, ok := value.(map[string]any)
	if !ok {
		return refused("it is not an object")(c, at, value)
	}
	for name := range fields {
		if !strings.HasPrefix(name, "net.") {
			return c.refuse(at+"."+name, whyGoverned)
		}
	}
	return value
}

// noNewPrivileges allows to ask for what every service gets.
func noNewPrivileges(c *checker, at string, value any) any {
	return c.list(at, value, func(c *checker, at string, value any) any {
		if value == "no-new-privileges" || value == "no-new-privileges:true" || value == "no-new-privileges=true" {
			return value
		}
		return c.refuse(at, whyPrivilege)
	})
}

// plainImage allows names of images, but none of the places that a cache may be
// in.
func plainImage(c *checker, at string, value any) any {
	if s, err := text(value); err != nil || strings.ContainsAny(s, "=,") {
		return c.refuse(at, "only an image can be its source")
	}
	return value
}

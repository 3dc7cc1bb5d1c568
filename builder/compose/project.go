package compose

import (
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
)

// project checks all of a project, in place.
func (c *checker) project(project map[string]any) {
	table := map[string]rule{
		"name": drop, "version": drop,
		"services": func(c *checker, at string, v any) any { return c.each(at, v, c.service) },
		"networks": func(c *checker, at string, v any) any { return c.each(at, v, c.named(networkRules)) },
		"volumes":  func(c *checker, at string, v any) any { return c.each(at, v, c.named(volumeRules)) },
		"secrets":  func(c *checker, at string, v any) any { return c.each(at, v, c.file) },
		"configs":  func(c *checker, at string, v any) any { return c.each(at, v, c.file) },
	}
	for name := range project {
		if _, known := table[name]; !known && !strings.HasPrefix(name, "x-") && !empty(project[name]) {
			c.refuse(name, "it is not known to be harmless")
			delete(project, name)
		}
	}
	// The values of the tables name their places without a dot before them.
	for _, name := range []string{"name", "version", "networks", "volumes", "secrets", "configs", "services"} {
		if v, ok := project[name]; ok {
			if project[name] = table[name](c, name, v); project[name] == nil {
				delete(project, name)
			}
		}
	}
	for name := range project {
		if _, known := table[name]; !known {
			delete(project, name)
		}
	}
	project["name"] = c.policy.project
	c.checkNesting()
	if len(c.out.containers) > maxContainers {
		c.refuse("services", fmt.Sprintf("more than %d containers", maxContainers))
	}
	if len(c.out.services) == 0 {
		c.refuse("services", "there are none")
	}
}

// named checks a network or a volume, which has to be the project's own.
func (c *checker) named(table map[string]rule) func(at, name string, fields map[string]any) {
	return func(at, name string, fields map[string]any) {
		c.object(at, fields, table)
		if own := c.policy.project + "_" + name; fields["name"] != nil && fields["name"] != own {
			c.refuse(at+".name", whyForeign)
		}
		delete(fields, "name")
		c.mark(fields)
	}
}

// mark sets the labels by which all of it is found again.
func (c *checker) mark(fields map[string]any) {
	labels, _ := fields["labels"].(map[string]any)
	if labels == nil {
		labels = map[string]any{}
	}
	for name, value := range c.labels {
		labels[name] = quoted(value)
	}
	fields["labels"] = labels
}

// file checks a secret or a configuration, which containers see as a mount.
func (c *checker) file(at, _ string, fields map[string]any) {
	c.object(at, fields, fileRules)
	if fields["file"] == nil {
		c.refuse(at, "it names no file")
		return
	}
	if file, ok := c.place(at+".file", fields["file"]); ok {
		fields["file"] = quoted(file)
		c.binds = append(c.binds, bind{at: at, source: file})
		c.files[at] = file
	}
}

// service checks one service and holds it to the limits.
func (c *checker) service(at, name string, s map[string]any) {
	c.object(at, s, serviceRules)
	if build, ok := s["build"].(map[string]any); ok {
		c.dockerfile(at+".build", build)
		c.image(build, s)
	}
	c.mountFiles(at, s, "secrets", "/run/secrets/")
	c.mountFiles(at, s, "configs", "/")
	c.mark(s)
	c.limit(s)
	c.alias(s)
	s["security_opt"] = []any{"no-new-privileges:true"}
	dropped, _ := s["cap_drop"].([]any)
	s["cap_drop"] = append(dropped, "NET_RAW", "MKNOD")
	// The log is kept by the builder, masked; the engine must not keep it bare.
	s["logging"] = map[string]any{"driver": "none"}
	c.count(at, name, s)
}

// image marks what a service's image is built as. One without a name of its own
// is of use to this attempt alone and removed with it.
func (c *checker) image(build, s map[string]any) {
	if s["image"] == nil && build["tags"] == nil {
		c.mark(build)
	}
}

// count works out which containers a service will have.
func (c *checker) count(at, name string, s map[string]any) {
	n := 1
	deploy, _ := s["deploy"].(map[string]any)
	for _, v := range []any{deploy["replicas"], s["scale"]} {
		if v == nil {
			continue
		}
		f, ok := number(v)
		if !ok || f != math.Trunc(f) || f < 0 || f > maxContainers {
			c.refuse(at+".scale", fmt.Sprintf("%v is not a number up to %d", v, maxContainers))
			return
		}
		n = int(f)
	}
	c.out.services[name] = n
	for i := 1; i <= n; i++ {
		one := container{name: name + "-" + strconv.Itoa(i), label: name}
		if n > 1 {
			one.label = one.name
		}
		c.out.containers = append(c.out.containers, one)
	}
}

// alias has a service found by its container_name, too. The container itself gets
// another name: names are the whole machine's.
func (c *checker) alias(s map[string]any) {
	name := s["container_name"]
	delete(s, "container_name")
	networks, _ := s["networks"].(map[string]any)
	if name == nil {
		return
	}
	for _, v := range networks {
		if connection, ok := v.(map[string]any); ok {
			aliases, _ := connection["aliases"].([]any)
			connection["aliases"] = append(aliases, name)
		}
	}
}

// limit sets the builder's limits where the service asks for more, or for none.
func (c *checker) limit(s map[string]any) {
	asked := map[string]any{}
	if deploy, ok := s["deploy"].(map[string]any); ok {
		if resources, ok := deploy["resources"].(map[string]any); ok {
			limits, _ := resources["limits"].(map[string]any)
			maps.Copy(asked, limits)
			delete(resources, "limits")
		}
	}
	set := func(field, below string, most float64, format func(float64) any) {
		n := most
		for _, v := range []any{s[field], asked[below]} {
			if f, ok := number(v); ok && f > 0 && (n <= 0 || f < n) {
				n = f
			}
		}
		delete(s, field)
		if n > 0 {
			s[field] = format(n)
		}
	}
	whole := func(n float64) any { return strconv.FormatInt(int64(n), 10) }
	set("pids_limit", "pids", float64(c.limits.PIDs), func(n float64) any { return int64(n) })
	set("mem_limit", "memory", float64(c.limits.Memory), whole)
	set("cpus", "cpus", c.limits.CPUs, func(n float64) any { return n })
	delete(s, "memswap_limit")
	if s["mem_limit"] != nil {
		s["memswap_limit"] = s["mem_limit"] // equal: none of it may be swap on top
	}
}

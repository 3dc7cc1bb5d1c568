package compose

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/velocity-ci/velocity/builder/executor"
)

// A bind is a path of the workspace that a container sees.
type bind struct {
	at       string
	source   string
	writable bool
}

// mountRule checks one mount of a service.
func mountRule(c *checker, at string, value any) any {
	m := c.object(at, value, mountRules)
	switch m["type"] {
	case "bind":
		c.bindMount(at, m)
	case "volume":
		if _, err := text(m["source"]); err != nil && m["source"] != nil {
			return c.refuse(at+".source", err.Error())
		}
	case "tmpfs":
		if m["source"] != nil {
			return c.refuse(at+".source", "a tmpfs has none")
		}
	default:
		return c.refuse(at, "its type is not known")
	}
	return m
}

func (c *checker) bindMount(at string, m map[string]any) {
	source, ok := c.place(at+".source", m["source"])
	if !ok {
		return
	}
	if err := makeDir(c.root, source); err != nil {
		c.refuse(at+".source", err.Error())
		return
	}
	readOnly, _ := m["read_only"].(bool)
	theirs, onlyRead := c.engineSource(at+".source", source)
	m["source"] = quoted(theirs)
	if onlyRead {
		readOnly, m["read_only"] = true, true
	}
	c.binds = append(c.binds, bind{at: at, source: source, writable: !readOnly})
	options, _ := m["bind"].(map[string]any)
	if options == nil {
		options = map[string]any{}
	}
	options["create_host_path"] = false
	m["bind"] = options
}

// engineSource is where the engine finds a path of the workspace.
func (c *checker) engineSource(at, path string) (source string, readOnly bool) {
	source, readOnly, err := c.source(path)
	switch {
	case errors.Is(err, executor.ErrEngine):
		c.broken = err
	case err != nil:
		c.refuse(at, err.Error())
	default:
		return source, readOnly
	}
	return path, true
}

// mountFiles has a service see secrets or configs, as kind says, by mounts of its own
// where the engine finds their files elsewhere than the plugin, which reads them for
// builds. What the service itself mounts there comes later and counts, as with the
// plugin.
func (c *checker) mountFiles(at string, s map[string]any, kind, folder string) {
	references, _ := s[kind].([]any)
	var left, mounts []any
	for i, r := range references {
		fields, _ := r.(map[string]any)
		name, _ := fields["source"].(string)
		file, known := c.files[kind+"."+name]
		source := file
		if known {
			source, _ = c.engineSource(fmt.Sprintf("%s.%s[%d]", at, kind, i), file)
		}
		if source == file {
			left = append(left, r)
			continue
		}
		mounts = append(mounts, map[string]any{
			"type": "bind", "source": quoted(source), "target": fileTarget(fields, folder+name, folder), "read_only": true,
			"bind": map[string]any{"create_host_path": false},
		})
	}
	if len(mounts) == 0 {
		return
	}
	own, _ := s["volumes"].([]any)
	s["volumes"] = append(mounts, own...)
	if s[kind] = left; len(left) == 0 {
		delete(s, kind)
	}
}

// fileTarget is where a service sees a secret or a configuration.
func fileTarget(reference map[string]any, usual, folder string) string {
	target, _ := reference["target"].(string)
	switch {
	case target == "":
		return usual
	case !path.IsAbs(target):
		return folder + target
	}
	return target
}

// place makes a path of the workspace final, or refuses it.
func (c *checker) place(at string, value any) (real string, ok bool) {
	name, err := text(value)
	if err == nil && !filepath.IsAbs(name) {
		err = fmt.Errorf("%q is not a path", name)
	}
	if err == nil {
		real, err = inside(c.root, name)
	}
	if err != nil {
		c.refuse(at, fmt.Sprintf("%v: %v", value, err))
		return "", false
	}
	return real, true
}

// makeDir makes a directory that a mount names and nobody has made, as the engine
// would, but as this user.
func makeDir(root, dir string) error {
	if exists(dir) {
		return nil
	}
	r, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer r.Close()
	rel, err := filepath.Rel(root, dir)
	if err != nil {
		return err
	}
	return r.MkdirAll(rel, 0o755)
}

// checkNesting refuses a mount of something that a container may move away: the
// engine looks for a mount's source when its container starts, and would follow
// what it then finds there to anywhere on the machine.
func (c *checker) checkNesting() {
	for _, b := range c.binds {
		for _, w := range c.binds {
			if w.writable && strings.HasPrefix(b.source, strings.TrimSuffix(w.source, "/")+"/") {
				c.refuse(b.at, fmt.Sprintf("it lies in %s, which %s makes writable: make that read-only, or mount directories beside each other",
					c.short(w.source), w.at))
				break
			}
		}
	}
}

func (c *checker) short(path string) string {
	rel, err := filepath.Rel(c.root, path)
	if err != nil || rel == "." {
		return "the workspace"
	}
	return filepath.ToSlash(rel)
}

// mountTarget keeps mounts from standing in for a whole image or for the kernel's
// file systems.
func mountTarget(c *checker, at string, value any) any {
	target, err := text(value)
	clean := path.Clean(target)
	top := "/" + strings.SplitN(strings.TrimPrefix(clean, "/"), "/", 2)[0]
	if err != nil || !path.IsAbs(target) || clean == "/" || top == "/proc" || top == "/sys" || top == "/dev" && clean != "/dev/shm" {
		return c.refuse(at, fmt.Sprintf("nothing can be mounted at %v", value))
	}
	return value
}

// buildContext makes the directory of a build final.
func buildContext(c *checker, at string, value any) any {
	if dir, ok := c.place(at, value); ok {
		return quoted(dir)
	}
	return nil
}

// otherContexts are directories, images, and images of other services.
func otherContexts(c *checker, at string, value any) any {
	contexts, ok := value.(map[string]any)
	if !ok {
		return refused("it is not an object")(c, at, value)
	}
	for name, v := range contexts {
		s, err := text(v)
		if err == nil && (strings.HasPrefix(s, "service:") || strings.HasPrefix(s, "docker-image://")) {
			continue
		}
		contexts[name] = buildContext(c, at+"."+name, v)
	}
	return contexts
}

// dockerfile makes the file of a build final. It counts from the context.
func (c *checker) dockerfile(at string, build map[string]any) {
	name, err := text(build["dockerfile"])
	if build["dockerfile"] == nil {
		name, err = "Dockerfile", nil
	}
	if err != nil || build["dockerfile_inline"] != nil {
		if err != nil {
			c.refuse(at+".dockerfile", err.Error())
		}
		return
	}
	if context, err := text(build["context"]); err == nil && !filepath.IsAbs(name) {
		name = filepath.Join(context, name)
	}
	file, ok := c.place(at+".dockerfile", quoted(name))
	if !ok {
		return
	}
	if info, err := os.Lstat(file); err == nil && !info.Mode().IsRegular() {
		c.refuse(at+".dockerfile", "it is not a regular file")
		return
	}
	build["dockerfile"] = quoted(file)
}

package blueprint

import (
	"path"
	"strings"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// step checks one step in the checker's scope.
func (k *checker) step(s *step) {
	if s.common == nil {
		return
	}
	k.secrets(s.common.Secrets)
	k.when(&s.common.When)
	switch {
	case s.run != nil:
		k.run(s.run)
	case s.build != nil:
		k.build(s.build)
	case s.push != nil:
		k.tags(&s.push.Tags)
		if s.push.Tags.Set && len(s.push.Tags.List) == 0 {
			k.report.errorf(s.at, "a push step needs at least one of tags")
		}
	case s.compose != nil:
		k.path(&s.compose.ComposeFile, "composeFile")
		if v := s.compose.Service; v.Set && !validName(v.Value) {
			k.report.errorf(v.at, "%q cannot be the name of a service", v.Value)
		}
	case s.blueprint != nil:
		if b := s.blueprint; b.Name.Set == (len(b.Names.List) > 0) {
			k.report.errorf(s.at, "a blueprint step needs either name or names")
		}
	}
}

// secrets checks the names of the secrets that a step asks for.
func (k *checker) secrets(names words) {
	for _, name := range names.List {
		d, ok := k.scope.names[name.Value]
		switch {
		case ok && d.class == known:
			k.report.warnf(name.at, "parameter %q is not secret: every step can see it", name.Value)
		case !ok && !k.scope.open:
			f := k.report.errorf(name.at, "there is no parameter %q", name.Value)
			k.report.didYouMean(f, name.Value, k.scope.all())
		}
	}
}

func (k *checker) run(s *runStep) {
	k.text(&s.Image, rule{field: "image", late: true, before: -1})
	k.text(&s.Network, rule{field: "network", before: -1})
	k.text(&s.User, rule{field: "user", before: -1})
	k.text(&s.MountPoint, rule{field: "mountPoint", before: -1})
	k.text(&s.WorkingDir, rule{field: "workingDir", late: true, before: -1})
	k.environment(s.Environment, stepEnvironment)
	k.secrets(s.SecretFiles)
	k.command(s)
	k.container(s)
	k.services(s)
	k.workspace(s)
}

// command checks what the step runs.
func (k *checker) command(s *runStep) {
	script := s.Script.Set && strings.TrimSpace(s.Script.Value) != ""
	switch {
	case s.Command.Set && s.Script.Set:
		k.report.errorf(s.Script.at, "a run step has either command or script, not both")
	case s.Script.Set && !script:
		k.report.errorf(s.Script.at, "the script is empty")
	case s.Command.Set && len(s.Command.List) == 0:
		k.report.errorf(s.Command.at, "the command is empty")
	case !s.Command.Set && !script && !s.Image.Set:
		k.report.errorf(s.at, "a run step needs command or script").Hint = "only an image can bring a command of its own"
	}
	if strings.Contains(s.Script.Value, "${git.") || strings.Contains(s.Script.Value, "${build.") {
		k.report.warnf(s.Script.at, "nothing is expanded in a script").Hint =
			`every parameter is an environment variable there, such as "$VELOCITY_GIT_BRANCH"`
	}
	k.arguments(s.Command.List)
}

// arguments checks the words of a command.
func (k *checker) arguments(argv []text) {
	taintOK := k.taintedWords(argv)
	for i := range argv {
		k.text(&argv[i], rule{field: "command", taint: taintOK(i), secret: true, late: true, before: -1})
	}
}

// taintedWords tells which words of a command may be tainted: not the program,
// not what a shell would take for its first option or file, and none at all if a
// shell is handed code.
func (k *checker) taintedWords(argv []text) func(i int) bool {
	shell, code := len(argv), false
	for i := range argv {
		w, ok := k.literal(&argv[i])
		if !ok {
			w = argv[i].Value
		}
		switch {
		case shell < i && strings.HasPrefix(w, "-") && strings.Contains(w, "c"):
			code = true
		case isShell(path.Base(w)):
			shell = min(shell, i)
		}
	}
	return func(i int) bool { return i > 0 && !code && i != shell+1 }
}

// isShell knows programs that run code given to them with -c.
func isShell(base string) bool {
	switch base {
	case "sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "fish", "csh", "tcsh", "rbash", "pwsh", "powershell", "su":
		return true
	}
	return false
}

// container checks what is about the container.
func (k *checker) container(s *runStep) {
	if image, ok := k.literal(&s.Image); s.Image.Set && s.Image.Value == "" || ok && !validImage(image) {
		k.report.errorf(s.Image.at, "%q cannot be the name of an image", image)
	}
	for _, t := range []*text{&s.Network, &s.User} {
		if v, ok := k.literal(t); ok && v != "" && !validIdentity(v) {
			k.report.errorf(t.at, "%q is not a name of letters, digits, dots, dashes and underscores", v)
		}
	}
	switch s.Pull.Value {
	case "", "missing", "always", "never":
	default:
		f := k.report.errorf(s.Pull.at, "there is no way %q to pull an image, expected missing, always or never", s.Pull.Value)
		k.report.didYouMean(f, s.Pull.Value, []string{"missing", "always", "never"})
	}
	if !s.Image.Set {
		for _, w := range []word{s.MountPoint.word, s.Network.word, s.User.word, s.Pull} {
			if w.Set {
				k.report.warnf(w.at, "this is about a container, but the step has no image")
			}
		}
	}
}

// validImage is a coarse check; the engine knows the grammar.
func validImage(image string) bool {
	return image != "" && image[0] != '-' && !strings.ContainsFunc(image, func(c rune) bool { return c <= ' ' || c == 0x7f })
}

// validIdentity accepts networks and users, with a group after a colon.
func validIdentity(name string) bool {
	for part := range strings.SplitSeq(name, ":") {
		if !validName(part) || strings.Contains(part, "/") {
			return false
		}
	}
	return strings.Count(name, ":") <= 1 && !strings.HasPrefix(name, "container:")
}

// workspace checks where the workspace is and where in it the step works.
func (k *checker) workspace(s *runStep) {
	mount, known := plan.DefaultMountPoint, !s.MountPoint.Set
	if v, ok := k.literal(&s.MountPoint); ok {
		mount, known = v, true
		if !validMountPoint(v) {
			k.report.errorf(s.MountPoint.at, "mountPoint %q is not an absolute path that a workspace can be seen under", v)
		}
	}
	if dir, ok := k.literal(&s.WorkingDir); ok && known {
		if _, ok := withinMount(mount, dir); !ok {
			k.report.errorf(s.WorkingDir.at, "workingDir %q is not in the workspace", dir)
		}
	}
}

// validMountPoint refuses the container's root and what the kernel owns in it.
func validMountPoint(dir string) bool {
	clean := path.Clean(dir)
	for _, taken := range []string{"/proc", "/sys", "/dev"} {
		if clean == taken || strings.HasPrefix(clean, taken+"/") {
			return false
		}
	}
	return path.IsAbs(dir) && clean != "/" && clean == strings.TrimSuffix(dir, "/") && !strings.ContainsAny(dir, ":,\x00\n\r")
}

// withinMount is dir as a path relative to the workspace. As in 2019 it can also
// be written as the container sees it, below the mount point.
func withinMount(mount, dir string) (string, bool) {
	clean := path.Clean(dir)
	if rest, ok := strings.CutPrefix(clean+"/", path.Clean(mount)+"/"); ok {
		clean = "./" + rest
	}
	return inside(clean)
}

// path checks a path in the workspace.
func (k *checker) path(t *text, field string) {
	k.text(t, rule{field: field, late: true, before: -1})
	v, ok := k.literal(t)
	if ok && v == "" || t.Set && t.Value == "" {
		k.report.errorf(t.at, "%s is empty", field)
	} else if _, within := inside(v); ok && (!within || v[0] == '-') {
		k.report.errorf(t.at, "%s %q is not in the workspace", field, v)
	}
}

func (k *checker) tags(ts *texts) {
	for i := range ts.List {
		t := &ts.List[i]
		k.text(t, rule{field: "tags", taint: true, secret: true, late: true, before: -1})
		if v, ok := k.literal(t); t.Set && t.Value == "" || ok && !validImage(v) {
			k.report.errorf(t.at, "%q cannot be the name of an image", v)
		}
	}
}

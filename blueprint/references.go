package blueprint

// references lists all references of a step.
func (s *step) references() []reference {
	var all references
	switch {
	case s.run != nil:
		all.texts(s.run.Image, s.run.WorkingDir)
		all.texts(s.run.Command.List...)
		all.variables(s.run.Environment)
		for _, v := range s.run.Services {
			all.texts(v.Image)
			all.texts(v.Command.List...)
			all.texts(v.Ready.List...)
			all.variables(v.Environment)
		}
	case s.build != nil:
		all.texts(s.build.Dockerfile, s.build.Context, s.build.Target)
		all.texts(s.build.Tags.List...)
		all.variables(s.build.Args)
	case s.push != nil:
		all.texts(s.push.Tags.List...)
	case s.compose != nil:
		all.texts(s.compose.ComposeFile)
	}
	return all
}

// references are collected from texts.
type references []reference

func (r *references) texts(list ...text) {
	for _, t := range list {
		*r = append(*r, t.refs...)
	}
}

func (r *references) variables(list []variable) {
	for _, v := range list {
		*r = append(*r, v.Value.refs...)
	}
}

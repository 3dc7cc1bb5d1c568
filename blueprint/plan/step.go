package plan

// A StepType names what a step does.
type StepType string

// The step types of the language. Setup is implicit: it is the first step of
// every attempt and stands in no file.
const (
	StepSetup   StepType = "setup"
	StepRun     StepType = "run"
	StepBuild   StepType = "build"
	StepPush    StepType = "push"
	StepCompose StepType = "compose"
)

// A Step is one action of a task. Exactly one of the pointers is set, the one
// that Type names.
type Step struct {
	Type         StepType `json:"type"`
	Name         string   `json:"name"` // for people: the description, or what it runs
	Timeout      Duration `json:"timeout,omitempty"`
	IgnoreErrors bool     `json:"ignoreErrors,omitempty"` // its failure does not fail the task
	Always       bool     `json:"always,omitempty"`       // it runs also after a failure and after a cancel, within its timeout
	Skip         bool     `json:"skip,omitempty"`         // its `when` is false: it succeeds at once, reason "skipped"
	Secrets      []string `json:"secrets,omitempty"`      // parameters it may see although they are secret
	At           string   `json:"at"`                     // file:line:col, for messages

	Run     *Run         `json:"run,omitempty"`
	Build   *ImageBuild  `json:"build,omitempty"`
	Push    *ImagePush   `json:"push,omitempty"`
	Compose *ComposeStep `json:"compose,omitempty"`
}

// A Run is a command in a container, or on the builder itself if Image is empty.
// Either Command or Script is set.
type Run struct {
	Image          Text       `json:"image,omitempty"`
	Command        []Text     `json:"command,omitempty"` // one text an argument
	Script         string     `json:"script,omitempty"`  // run by `sh -eu`; nothing is expanded in it
	Environment    []Variable `json:"environment,omitempty"`
	SecretFiles    []string   `json:"secretFiles,omitempty"` // parameters that it finds in files
	WorkingDir     Text       `json:"workingDir,omitempty"`  // relative to the workspace
	MountPoint     string     `json:"mountPoint,omitempty"`  // where a container sees the workspace
	IgnoreExitCode bool       `json:"ignoreExitCode,omitempty"`
	Network        string     `json:"network,omitempty"`
	User           string     `json:"user,omitempty"`
	Pull           string     `json:"pull,omitempty"` // missing (default), always, never
	Services       []Service  `json:"services,omitempty"`
}

// A Service is a container that runs beside a step and is reached by its alias.
type Service struct {
	Image       Text       `json:"image"`
	Alias       string     `json:"alias"`             // its host name for the step
	Command     []Text     `json:"command,omitempty"` // in place of the image's own
	Environment []Variable `json:"environment,omitempty"`
	Ready       []Text     `json:"ready,omitempty"` // command in the service that ends well once it is ready; without it, running is enough
}

// An ImageBuild builds a container image.
type ImageBuild struct {
	Dockerfile Text       `json:"dockerfile,omitempty"`
	Context    Text       `json:"context,omitempty"`
	Tags       []Text     `json:"tags"`
	Target     Text       `json:"target,omitempty"` // stage of the Dockerfile; "" is the last
	Args       []Variable `json:"args,omitempty"`
	Platforms  []string   `json:"platforms,omitempty"` // such as linux/arm64; none is the engine's own
}

// An ImagePush pushes tags that the task built.
type ImagePush struct {
	Tags []Text `json:"tags"`
}

// A ComposeStep runs a Compose project.
type ComposeStep struct {
	ComposeFile Text   `json:"composeFile"`
	Service     string `json:"service,omitempty"` // whose exit code counts; "" is any that is not zero
}

// A Variable is one environment variable of a step.
type Variable struct {
	Name  string `json:"name"`
	Value Text   `json:"value"`
}

// DefaultMountPoint is where a container sees the workspace unless its step
// says otherwise.
const DefaultMountPoint = "/velocity_ci"

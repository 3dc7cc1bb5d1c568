package plan

// A Plugin is told of some events of a build. It is what the configuration asks
// for; whether the site lets it run is not for the plan to say.
type Plugin struct {
	Use       string           `json:"use"` // one of PluginKinds
	Arguments []PluginArgument `json:"arguments,omitempty"`
	Events    []string         `json:"events"` // at least one of PluginEvents
}

// A PluginArgument is a value, or the name of the secret that holds it: never the
// secret itself.
type PluginArgument struct {
	Name   string `json:"name"`
	Value  string `json:"value,omitempty"`
	Secret string `json:"secret,omitempty"`
}

// PluginKinds are the plugins that a repository can ask for.
func PluginKinds() []string { return []string{PluginSlack, PluginWebhook} }

// The plugins that there are. One that runs a program of the server's machine is
// for the site alone to ask for.
const (
	PluginSlack   = "slack"
	PluginWebhook = "webhook"
	PluginExec    = "exec"
)

// PluginEvents are the events of a build, in the order in which they happen.
func PluginEvents() []string {
	return []string{
		"BUILD_START", "TASK_START", "TASK_COMPLETE", "TASK_SUCCESS", "TASK_FAIL",
		DefaultPluginEvent, "BUILD_SUCCESS", "BUILD_FAIL",
	}
}

// DefaultPluginEvent is what a plugin hears of that names no events.
const DefaultPluginEvent = "BUILD_COMPLETE"

// Arguments that slack and webhook know.
const (
	PluginURL       = "url"
	PluginSignature = "secret" // webhook alone: the key that signs
)

// PluginArguments are those that a kind of plugin knows, the one it needs first.
func PluginArguments(use string) []string {
	switch use {
	case PluginSlack:
		return []string{PluginURL}
	case PluginWebhook:
		return []string{PluginURL, PluginSignature}
	}
	return nil
}

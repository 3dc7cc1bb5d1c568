package plan

// A Checks says what a forge shows of a build as a check of its own.
type Checks string

// What has a check of its own, with a name that stays the same from build to build.
const (
	ChecksBuild Checks = ""      // the build
	ChecksTasks Checks = "tasks" // the build and each of its tasks
)

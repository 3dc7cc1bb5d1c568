package web

import (
	"encoding/json"
	"net/http"
	"reflect"

	"github.com/velocity-ci/velocity/app/api"
)

// An operation is what the description says of one route, beside what follows from
// its line in the table of routes.
type operation struct {
	name    string       // of the operation, for programs
	part    string       // of the API that it belongs to
	does    string       // in one sentence
	query   []parameter  // beside those of all requests about a repository
	takes   reflect.Type // body; nil for none
	status  int          // when it is done
	told    string       // about the answer then
	gives   reflect.Type // that answer; nil for none, or for bytes
	kind    string       // media type of the answer, if it is not one JSON value
	refuses []int        // beside what can become of every such request
}

// A parameter is one of a query.
type parameter struct{ name, words, kind string }

// Parameters that several operations have.
var (
	aboutRepository = parameter{name: api.ParamRepository, words: "Name of the repository, or its key. Not needed where the token opens one only, nor with a build's id."}
	aboutBuild      = parameter{name: api.ParamBuild, words: "Id of the build that the body is about: it tells the repository."}
	whichAttempt    = parameter{name: api.ParamAttempt, words: "The newest if absent.", kind: "integer"}
)

// pathWords are what the parts of paths are that can be chosen.
var pathWords = map[string]string{
	"id":   "What it is about: for a build its id (k3f9a2-12), its number, or whatever git knows a commit by, such as a branch, a tag or main~2, whose newest build it is.",
	"task": "Key (s0t0) or name of a task.",
	"name": "Its name.",
	"path": "Path of a file. It may hold slashes, which stay as they are.",
}

// ndjson is the media type of streams: one JSON value a line.
const ndjson = "application/x-ndjson"

func of[T any]() reflect.Type { return reflect.TypeFor[T]() }

// operations describe the routes of the API, by their patterns.
var operations = map[string]operation{
	"GET " + api.PathDescription: {name: "description", part: "server", does: "This description.", status: http.StatusOK, kind: jsonKind},
	"GET " + api.PathRetention:   {name: "retention", part: "server", does: "Tell what the server would drop of a repository now, by the bounds of its configuration.", status: http.StatusOK, gives: of[api.Retention]()},
	"GET " + api.PathSelf:        {name: "self", part: "server", does: "Tell whose the token of the request is.", status: http.StatusOK, gives: of[api.Token]()},
	"GET " + api.PathRepositories: {
		name: "repositories", part: "server", does: "List the names of the repositories that the token opens.",
		status: http.StatusOK, gives: of[[]string](),
	},

	"GET " + api.PathBuilds: {
		name: "builds", part: "builds", does: "List builds of one repository, the newest first.", status: http.StatusOK, gives: of[[]json.RawMessage](),
		query: []parameter{
			{name: "ref", words: "Only builds of this branch or tag."},
			{name: "commit", words: "Only builds of this commit."},
			{name: "name", words: "Only builds of this pipeline or blueprint."},
			{name: "author", words: "Only builds of a commit by, or asked for by, somebody whose name or address contains this."},
			{name: "task", words: "Only builds that have this task, by its name or key."},
			{name: "state", words: "Only builds in this state: building, succeeded or failed; with task, builds in which that task is in this state."},
			{name: "since", words: "Only builds submitted since then: 2h or 3d ago, a day as 2026-11-22 (UTC), or a time of RFC 3339."},
			{name: "until", words: "Only builds submitted before then."},
			{name: "before", words: "Only builds older than this one: the last of a list gives the next page."},
			{name: "limit", words: "At most so many, up to 1000.", kind: "integer"},
		},
	},
	"GET " + api.PathBuild + "{id}": {name: "build", part: "builds", does: "Show one build.", status: http.StatusOK, gives: of[json.RawMessage]()},
	"GET " + api.PathBuild + "{id}/logs/{task}": {
		name: "log", part: "builds", does: "Send what an attempt of a task printed, once it is over.", query: []parameter{whichAttempt},
		status: http.StatusOK, told: "The log, byte by byte.", kind: "text/plain",
	},
	"GET " + api.PathBuild + "{id}/logs/{task}/times": {
		name: "logTimes", part: "builds", does: "Tell when the lines of a log came: a mark at each line that came later than the one before it.",
		query: []parameter{whichAttempt}, status: http.StatusOK, gives: of[[]api.Mark](),
	},
	"GET " + api.PathBuild + "{id}/artifacts": {
		name: "artifacts", part: "builds", does: "List what the tasks of a build kept and still have.", status: http.StatusOK, gives: of[[]api.Artifacts](),
	},
	"GET " + api.PathBuild + "{id}/artifacts/{task}": {
		name: "pack", part: "builds", does: "Send all artifacts of a task.", status: http.StatusOK, told: "A tar archive, packed with zstd.", kind: "application/octet-stream",
	},
	"GET " + api.PathBuild + "{id}/artifacts/{task}/{path...}": {
		name: "artifact", part: "builds", does: "Send one artifact of a task.", status: http.StatusOK, told: "The file.", kind: "application/octet-stream",
	},
	"GET " + api.PathBuild + "{id}/why": {
		name: "why", part: "builds", does: "Tell what the tasks of a build that are not over wait for.", status: http.StatusOK, gives: of[[]api.Reason](),
	},
	"GET " + api.PathBuild + "{id}/why/{task}": {
		name: "whyTask", part: "builds", does: "Tell what one task waits for.", status: http.StatusOK, gives: of[[]api.Reason](),
	},
	"GET " + api.PathBuild + "{id}/follow": {
		name: "followBuild", part: "builds", does: "Follow a build to its end.", status: http.StatusOK, gives: of[api.Update](), kind: ndjson,
		told: "One update a line, the last with end. A stream without that line broke off: ask again.",
	},
	"GET " + api.PathTrigger + "{id}/follow": {
		name: "followTrigger", part: "builds", does: "Follow what becomes of a trigger, until all its builds are over.", status: http.StatusOK,
		gives: of[api.Update](), kind: ndjson, told: "One update a line, the first with answer, the last with end.",
	},

	"POST " + api.PathStart: {
		name: "start", part: "acting", does: "Ask for a build by name.", takes: of[api.Start](), status: http.StatusAccepted,
		told: "It is recorded that somebody asked; following the trigger tells what comes of it.", gives: of[api.Accepted](),
	},
	"POST " + api.PathRerun: {
		name: "rerun", part: "acting", does: "Ask for a build to be built again.", takes: of[api.Act](), status: http.StatusAccepted,
		told: "It is recorded that somebody asked; following the trigger tells what comes of it.", gives: of[api.Accepted](),
	},
	"POST " + api.PathCancel: {name: "cancel", part: "acting", does: "End a build.", takes: of[api.Act](), status: http.StatusNoContent},
	"POST " + api.PathApprove: {
		name: "approve", part: "acting", does: "Let a build start that waits for approval, if it is of this commit and plan.",
		takes: of[api.Approval](), status: http.StatusOK, told: "The approval as it was recorded.", gives: of[api.Approval](),
	},

	"GET " + api.PathBuilders: {name: "builders", part: "builders", does: "List the builders that were registered.", status: http.StatusOK, gives: of[[]api.Builder]()},
	"POST " + api.PathBuilders + "/{name}/drain": {
		name: "drain", part: "builders", does: "Give a builder no new tasks.", takes: of[api.Act](), status: http.StatusOK, gives: of[api.Turned](), refuses: noSuch,
	},
	"POST " + api.PathBuilders + "/{name}/resume": {
		name: "resume", part: "builders", does: "Give a drained builder tasks again.", takes: of[api.Act](), status: http.StatusOK, gives: of[api.Turned](), refuses: noSuch,
	},
	"POST " + api.PathBuilders + "/{name}/revoke": {
		name: "revoke", part: "builders", does: "Shut a builder out for good.", takes: of[api.Act](), status: http.StatusOK, gives: of[api.Turned](), refuses: noSuch,
	},
	"POST " + api.PathRegister: {
		name: "register", part: "builders", does: "Enter a builder, with a registration token in the body.", takes: of[api.Register](), status: http.StatusOK, gives: of[api.Registered](),
		refuses: []int{http.StatusUnauthorized, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusTooManyRequests},
	},
	"POST " + api.PathRegistrations: {
		name: "mint", part: "builders", does: "Make a registration token.", takes: of[api.Leave](), status: http.StatusCreated,
		told: "The token is told this once.", gives: of[api.Minted](), refuses: []int{http.StatusUnprocessableEntity},
	},

	"GET " + api.PathTokens: {name: "tokens", part: "tokens", does: "List the API tokens that were not revoked.", status: http.StatusOK, gives: of[[]api.Token]()},
	"POST " + api.PathTokens: {
		name: "issue", part: "tokens", does: "Make an API token.", takes: of[api.Token](), status: http.StatusCreated, told: "The secret is told this once.",
		gives: of[api.Issued](), refuses: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity},
	},
	"DELETE " + api.PathTokens + "/{id}": {
		name: "withdraw", part: "tokens", does: "Revoke an API token, by its id. What is being answered under it ends.", status: http.StatusNoContent, refuses: noSuch,
	},

	"GET " + api.PathSecrets: {name: "secrets", part: "secrets", does: "List secrets, without their values.", status: http.StatusOK, gives: of[[]api.Secret]()},
	"POST " + api.PathSecrets: {
		name: "setSecret", part: "secrets", does: "Set a secret's value and what it is bound to.", takes: of[api.SetSecret](), status: http.StatusCreated,
		gives: of[api.Secret](), refuses: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity},
	},
	"POST " + api.PathRotate: {
		name: "rotateSecrets", part: "secrets", does: "Seal all secrets with a new key.", takes: of[api.Act](), status: http.StatusOK,
		gives: of[api.Rotated](), refuses: []int{http.StatusConflict},
	},
	"DELETE " + api.PathSecrets + "/{name}": {
		name: "removeSecret", part: "secrets", does: "Remove a secret of a repository, or of the whole site.", status: http.StatusNoContent,
		query:   []parameter{{name: api.ParamOf, words: "Name of the repository, or its key; the whole site if absent."}},
		refuses: []int{http.StatusNotFound, http.StatusConflict},
	},
}

// noSuch is what refuses who names something that there is not.
var noSuch = []int{http.StatusNotFound}

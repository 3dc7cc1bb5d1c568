package page

import (
	"net/url"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/architect/build"
)

// A Home lists the repositories that somebody may read.
type Home struct {
	Repositories []Repository
}

// A Repository is one of a list, with its newest builds, the newest first.
type Repository struct {
	Name   string
	Newest []*build.Build
}

func (Home) about() (string, string) { return "home", "Repositories" }

// Latest is the newest build, nil if there is none.
func (r Repository) Latest() *build.Build {
	if len(r.Newest) == 0 {
		return nil
	}
	return r.Newest[0]
}

// Builds lists builds of a repository.
type Builds struct {
	Repository string
	Query      api.Query // what selects them
	List       []*build.Build
	Older      string // query of the next page; "" if this is the last
	Problem    string // with the query, or with what could not be read
}

func (b Builds) about() (string, string) { return "builds", "Builds of " + b.Repository }

// Narrowed reports whether the list is a selection.
func (b Builds) Narrowed() bool {
	q := b.Query
	q.Limit, q.Before = "", ""
	return q != api.Query{}
}

// Outcomes are the states by which builds are selected.
func (Builds) Outcomes() []build.State {
	return []build.State{build.Building, build.Succeeded, build.Failed}
}

// BuildsPath is the address of a list of builds, below the server's.
func BuildsPath(repository string, q api.Query) string {
	v := q.Values()
	v.Set(api.ParamRepository, repository)
	return "/builds?" + v.Encode()
}

// FeedPath is where feeds of builds are, which the parameters of BuildsPath select.
const FeedPath = "/feed"

// feedOf is the address of the feed of a repository.
func feedOf(repository string) string {
	return FeedPath + "?" + url.Values{api.ParamRepository: {repository}}.Encode()
}

// BadgePath is the address of a repository's badge, below the server's.
func BadgePath(repository string) string {
	path := &url.URL{Path: repository} // slashes stay
	return "/badge/" + path.EscapedPath() + ".svg"
}

// BuildPath is the address of a build's page, below the server's.
func BuildPath(id build.ID) string { return "/builds/" + url.PathEscape(id.String()) }

// TaskPath is that of the log of a task.
func TaskPath(id build.ID, task string) string { return BuildPath(id) + "/log/" + url.PathEscape(task) }

package github

// A Need is a permission or an event that the App has a use for.
type Need struct {
	Event    bool   // it is an event that the App subscribes to, not a permission
	Name     string // as GitHub calls it
	Access   string // read or write; "" for an event
	Optional bool   // without it only that is lost what the reason says
	Reason   string // a sentence part: what it is for
}

// Needs is all that the App asks its owners for; docs/github.md shows the same.
var Needs = []Need{
	{Name: "metadata", Access: "read", Reason: "every App has it: to find repositories by their number, and to ask who may write"},
	{Name: "contents", Access: "read", Reason: "to fetch what is built, with tokens for one repository that are revoked afterwards"},
	{Name: "checks", Access: "write", Reason: "to show builds as check runs, and to hear of their buttons"},
	{Name: "pull_requests", Access: "read", Reason: "to read which commit a pull request is at, and from which repository it comes"},
	{Name: "statuses", Access: "write", Optional: true, Reason: "to show builds as commit statuses where check runs are refused"},
	{Name: "merge_queues", Access: "read", Optional: true, Reason: "to build the merge groups of a merge queue"},
	{Name: "issues", Access: "read", Optional: true, Reason: "to read commands in the comments of pull requests, which GitHub keeps with the issues"},
	{Event: true, Name: "push", Reason: "to build branches and tags"},
	{Event: true, Name: "pull_request", Reason: "to build pull requests, and to stop when they close"},
	{Event: true, Name: "repository", Reason: "to follow renames, transfers and archiving"},
	{Event: true, Name: "merge_group", Optional: true, Reason: "to build the merge groups of a merge queue"},
	{Event: true, Name: "issue_comment", Optional: true, Reason: "to read commands in the comments of pull requests"},
}

// unasked lists the events for us that GitHub sends to every App (with checks:
// write, the first two) whether it subscribes or not. Subscribing would only add
// echoes of what we and others post.
var unasked = []string{"check_run", "check_suite", "installation", "installation_repositories"}

// access is what a permission of the table is needed for.
func access(permission string) string {
	for _, n := range Needs {
		if !n.Event && n.Name == permission {
			return n.Access
		}
	}
	return ""
}

// covers reports whether what was granted is enough.
func covers(granted, needed string) bool {
	ranks := map[string]int{"read": 1, "write": 2, "admin": 3}
	return ranks[granted] > 0 && ranks[granted] >= ranks[needed]
}

// missing is what of the table is not there.
func missing(permissions map[string]string, events []string) []Need {
	subscribed := map[string]bool{}
	for _, e := range events {
		subscribed[e] = true
	}
	var out []Need
	for _, n := range Needs {
		if n.Event && !subscribed[n.Name] || !n.Event && !covers(permissions[n.Name], n.Access) {
			out = append(out, n)
		}
	}
	return out
}

package git

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Commit is one decoded commit. Names, addresses and the message are what
// people wrote: any bytes, valid UTF-8 or not.
type Commit struct {
	Hash    Hash
	Tree    Hash
	Parents []Hash
	Author  Signature
	// Committed is when the commit object was made; Author.When is when its
	// change was, and survives a rebase.
	Committed time.Time
	Message   string
}

// A Signature says who and when; the time has the zone that was recorded.
type Signature struct {
	Name, Email string
	When        time.Time
}

// parseCommit reads a commit's headers up to the empty line; unknown ones, such
// as a signature, are passed over.
func parseCommit(h Hash, content []byte) (Commit, error) {
	c := Commit{Hash: h}
	for {
		line, rest, _ := bytes.Cut(content, []byte("\n"))
		content = rest
		if len(line) == 0 {
			break
		}
		key, value, _ := strings.Cut(string(line), " ")
		if err := c.header(key, value); err != nil {
			return Commit{}, fmt.Errorf("commit %s: %w: %s: %w", h, errCorrupt, key, err)
		}
	}
	if c.Tree.IsZero() {
		return Commit{}, fmt.Errorf("commit %s: %w: no tree", h, errCorrupt)
	}
	c.Message = string(content)
	return c, nil
}

func (c *Commit) header(key, value string) (err error) {
	switch key {
	case "tree":
		c.Tree, err = ParseHash(value)
	case "parent":
		var parent Hash
		parent, err = ParseHash(value)
		c.Parents = append(c.Parents, parent)
	case "author":
		c.Author = parseSignature(value)
	case "committer":
		c.Committed = parseSignature(value).When
	}
	return err
}

// parseSignature reads "NAME <EMAIL> SECONDS ZONE". Old tools wrote damaged
// ones; like git, it takes what it can from them.
func parseSignature(s string) Signature {
	end := strings.LastIndexByte(s, '>')
	start := strings.IndexByte(s, '<')
	if start < 0 || end < start {
		return Signature{Name: strings.TrimSpace(s)}
	}
	sig := Signature{Name: strings.TrimSpace(s[:start]), Email: s[start+1 : end]}
	seconds, zone, _ := strings.Cut(strings.TrimSpace(s[end+1:]), " ")
	if unix, err := strconv.ParseInt(seconds, 10, 64); err == nil {
		sig.When = time.Unix(unix, 0).In(parseZone(zone))
	}
	return sig
}

// parseZone reads "+hhmm" or "-hhmm"; anything else is UTC.
func parseZone(s string) *time.Location {
	n, err := strconv.Atoi(s)
	if err != nil || len(s) != 5 || n == 0 {
		return time.UTC
	}
	return time.FixedZone("", (n/100*60+n%100)*60)
}

// A CommitSpec is a commit to be made. Author and committer are the same: these
// are records of a program, made when they are written.
type CommitSpec struct {
	Tree        Hash
	Parents     []Hash
	Name, Email string
	When        time.Time // recorded in UTC, to the second
	Message     string
}

func (s CommitSpec) encode() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "tree %s\n", s.Tree)
	for _, parent := range s.Parents {
		fmt.Fprintf(&b, "parent %s\n", parent)
	}
	who := fmt.Sprintf("%s <%s> %d +0000", ident(s.Name), ident(s.Email), s.When.Unix())
	fmt.Fprintf(&b, "author %s\ncommitter %s\n\n", who, who)
	b.WriteString(strings.ReplaceAll(s.Message, "\x00", ""))
	return b.Bytes()
}

// ident removes what would end a name or address early, as git does.
func ident(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '<' || r == '>' || r == '\n' || r == 0 {
			return -1
		}
		return r
	}, s)
}

// parseTag returns what an annotated tag points to.
func parseTag(h Hash, content []byte) (Hash, error) {
	line, _, _ := bytes.Cut(content, []byte("\n"))
	target, ok := strings.CutPrefix(string(line), "object ")
	if !ok {
		return Zero, fmt.Errorf("tag %s: %w: no object", h, errCorrupt)
	}
	return ParseHash(target)
}

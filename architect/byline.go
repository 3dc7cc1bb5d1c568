package architect

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A byline is what people look for a build by: who wrote its commit and the first
// line of what they wrote about it.
type byline struct{ author, subject string }

// maxByline bounds each part in bytes: it is stored with every build, and whoever
// pushes chooses it.
const maxByline = 200

// byline reads the byline of a commit. One that cannot be read is empty: that is
// no reason not to build.
func (s *Site) byline(ctx context.Context, c plan.Commit) byline {
	facts := s.Repo.Facts(ctx, c, "")
	part := func(name string) string {
		text, err := facts(name)
		if err != nil {
			return ""
		}
		line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
		return bylinePart(line)
	}
	return byline{author: part("git.commit.author"), subject: part("git.commit.message")}
}

// bylinePart is text without control characters, cut to maxByline bytes and not
// within a character.
func bylinePart(text string) string {
	text = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return -1
		}
		return c
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) > maxByline {
		end := maxByline
		for !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end]
	}
	return strings.TrimSpace(text)
}

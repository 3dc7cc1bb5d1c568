package runnertest

import (
	"fmt"
	"strings"
)

// Outputs reads the file of GITHUB_OUTPUT: lines name=value, and values of several
// lines between name<<END and END.
func Outputs(text string) (map[string]string, error) {
	all := map[string]string{}
	for text != "" {
		line, rest, _ := strings.Cut(text, "\n")
		text = rest
		equals, several := strings.Index(line, "="), strings.Index(line, "<<")
		switch {
		case line == "":
		case equals >= 0 && (several < 0 || equals < several):
			all[line[:equals]] = line[equals+1:]
		case several > 0 && line[several+2:] != "":
			value, after, ok := strings.Cut("\n"+text, "\n"+line[several+2:]+"\n")
			if !ok {
				return nil, fmt.Errorf("the value of %s has no end", line[:several])
			}
			all[line[:several]], text = strings.TrimPrefix(value, "\n"), after
		default:
			return nil, fmt.Errorf("%q sets nothing", line)
		}
	}
	return all, nil
}

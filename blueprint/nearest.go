package blueprint

import "strings"

// longestSuggestion is the length in bytes of the longest word that is compared.
const longestSuggestion = 40

// Nearest is the candidate that a word was probably meant to be, or "", for other
// files that people write than those of this language.
func Nearest(word string, candidates []string) string { return nearest(word, candidates) }

// nearest is the candidate that word was probably meant to be, or "". Case does
// not count as a difference. Long words get no answer: the time for one is
// bounded, since hostile files can ask often.
func nearest(word string, candidates []string) string {
	if word == "" || len(word) > longestSuggestion {
		return ""
	}
	best, least := "", min(3, 1+len(word)/3)+1
	lower := strings.ToLower(word)
	for _, c := range candidates {
		if c == "" || len(c) > longestSuggestion || c == word || abs(len(c)-len(word)) >= least {
			continue
		}
		if d := distance(lower, strings.ToLower(c), least); d < least {
			best, least = c, d
		}
	}
	return best
}

func abs(n int) int { return max(n, -n) }

// distance counts the insertions, deletions, replacements and swaps of
// neighbours between a and b, byte by byte, and stops counting at limit. Both are
// shorter than a row.
func distance(a, b string, limit int) int {
	var before, last, row [longestSuggestion + 1]int
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			least = min(least, row[j])
		}
		if least > limit {
			return least
		}
		before, last = last, row
	}
	return last[len(b)]
}

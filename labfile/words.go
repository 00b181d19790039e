package labfile

import (
	"fmt"
	"regexp"
	"strings"
)

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)

// didYouMean is a sentence, with a leading space, that offers the option nearest to what was given; empty when none is near.
func didYouMean(given string, options []string) string {
	if best := nearest(given, options); best != "" {
		return fmt.Sprintf(" Did you mean %q?", best)
	}
	return ""
}

// nearest is the option with the fewest differences to what was given, if these are few for its length.
func nearest(given string, options []string) string {
	if len(given) > 100 { // the distance costs the product of the lengths
		return ""
	}
	best, least := "", max(2, len(given)/3)+1
	for _, o := range options {
		if d := distance(strings.ToLower(given), strings.ToLower(o)); d < least && d < max(len(o), len(given)) {
			best, least = o, d
		}
	}
	return best
}

// distance is Levenshtein's: how many bytes to insert, delete or replace; two neighbours swapped count once.
func distance(a, b string) int {
	before, last, now := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		now[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
		before, last, now = last, now, before
	}
	return last[len(b)]
}

// list is names as a sentence shows them: "a", "b" and "c".
func list(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = fmt.Sprintf("%q", n)
	}
	return and(quoted)
}

func and(words []string) string {
	switch n := len(words); n {
	case 0:
		return "none"
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
}

// article puts "a" or "an" before a word.
func article(word string) string {
	if word != "" && strings.ContainsRune("aeiou", rune(word[0])) {
		return "an " + word
	}
	return "a " + word
}

// capital is text with its first letter in upper case, as summaries and sentences begin.
func capital(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

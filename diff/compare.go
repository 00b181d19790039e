package diff

import (
	"regexp"
	"slices"
	"strings"
)

// Fact is one thing that is known of one side.
type Fact struct {
	Topic string // "session", "podman"; topics come in the order of the facts
	Name  string // "linger"; unique in its topic
	Value string
}

// Difference is a fact that is not the same on both sides. A side that does not have it is nil.
type Difference struct {
	Topic, Name string
	A, B        *string
}

// Alike rewrites text of one side so that what differs by nature is the same: the account's own name, ids.
type Alike func(string) string

// Compare lists what differs, in the order of the topics, and in a topic in the order of the facts. Names and values that
// are the same as they stand are the same; otherwise they are compared as alikeA and alikeB rewrite them, where
// these are not nil.
func Compare(a, b []Fact, alikeA, alikeB Alike) []Difference {
	topics := topicsOf(a)
	at := 0 // where the topic belongs that only b has: behind the one before it
	for _, t := range topicsOf(b) {
		if i := slices.Index(topics, t); i >= 0 {
			at = i + 1
			continue
		}
		topics = slices.Insert(topics, at, t)
		at++
	}
	var out []Difference
	for _, topic := range topics {
		out = append(out, compareTopic(of(a, topic), of(b, topic), alikeA, alikeB)...)
	}
	return out
}

func topicsOf(all []Fact) []string {
	var out []string
	for _, f := range all {
		if !slices.Contains(out, f.Topic) {
			out = append(out, f.Topic)
		}
	}
	return out
}

func of(all []Fact, topic string) []Fact {
	var out []Fact
	for _, f := range all {
		if f.Topic == topic {
			out = append(out, f)
		}
	}
	return out
}

func compareTopic(a, b []Fact, alikeA, alikeB Alike) []Difference {
	partner := pairs(a, b, alikeA, alikeB)
	taken := map[int]bool{}
	var out []Difference
	for i, f := range a {
		j, ok := partner[i]
		if !ok {
			out = append(out, Difference{Topic: f.Topic, Name: f.Name, A: &a[i].Value})
			continue
		}
		taken[j] = true
		if f.Value != b[j].Value && alikeA.of(f.Value) != alikeB.of(b[j].Value) {
			out = append(out, Difference{Topic: f.Topic, Name: f.Name, A: &a[i].Value, B: &b[j].Value})
		}
	}
	for j, f := range b {
		if !taken[j] {
			out = append(out, Difference{Topic: f.Topic, Name: f.Name, B: &b[j].Value})
		}
	}
	return out
}

func (rewrite Alike) of(s string) string {
	if rewrite == nil {
		return s
	}
	return rewrite(s)
}

// pairs finds for each fact of a the one of b with the same name: as it stands, or else as it is rewritten.
func pairs(a, b []Fact, alikeA, alikeB Alike) map[int]int {
	out := map[int]int{}
	taken := map[int]bool{}
	for _, name := range []func(Alike, string) string{
		func(_ Alike, s string) string { return s },
		func(rewrite Alike, s string) string { return rewrite.of(s) },
	} {
		left := map[string][]int{}
		for j, f := range b {
			if !taken[j] {
				n := name(alikeB, f.Name)
				left[n] = append(left[n], j)
			}
		}
		for i, f := range a {
			if _, ok := out[i]; ok {
				continue
			}
			n := name(alikeA, f.Name)
			if len(left[n]) > 0 {
				out[i], taken[left[n][0]] = left[n][0], true
				left[n] = left[n][1:]
			}
		}
	}
	return out
}

// ids are what every object gets anew: ids of containers, names of units and of network namespaces.
var ids = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), "ID"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "ID"},
	{regexp.MustCompile(`\b[0-9a-f]{12}\b`), "ID"},
	{regexp.MustCompile(`\b(rootless-netns|podman-pause|podman|session|saigen-\w+-\w+)-[0-9a-z]+(\.(?:scope|service)|\b)`), "$1-ID$2"},
	{regexp.MustCompile(`\brun-r?[0-9a-f]+\.(scope|service)`), "run-ID.$1"},
}

// anonymous takes the ids out of text.
func anonymous(s string) string {
	for _, r := range ids {
		s = r.what.ReplaceAllString(s, r.by)
	}
	return s
}

// Alike makes text of an account comparable with text of another: its name, its home and its numbers are written as
// what they mean.
func (w Who) Alike(s string) string {
	s = anonymous(s)
	for _, r := range []struct{ what, by string }{
		{w.Home, "$HOME"}, {w.Name, "$USER"}, {w.UID, "$UID"}, {w.GID, "$GID"},
	} {
		s = replaceWords(s, r.what, r.by)
	}
	return s
}

// replaceWords replaces a word where it does not touch letters or digits: "alice" in "alice_default", not in "malice".
func replaceWords(s, word, by string) string {
	if word == "" {
		return s
	}
	var out strings.Builder
	for {
		i := strings.Index(s, word)
		if i < 0 {
			out.WriteString(s)
			return out.String()
		}
		end := i + len(word)
		if i > 0 && alnum(s[i-1]) || end < len(s) && alnum(s[end]) {
			out.WriteString(s[:i+1])
			s = s[i+1:]
			continue
		}
		out.WriteString(s[:i] + by)
		s = s[end:]
	}
}

func alnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

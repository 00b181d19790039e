package labfile

import (
	"strings"
	"testing"
	"time"
)

// What a hostile file can cost: none of these may end the program or take long.
func TestHostileFiles(t *testing.T) {
	const n = 4500
	for name, src := range map[string]string{
		"open brackets":   "a = " + strings.Repeat("[", 20*n),
		"brackets":        "a = " + strings.Repeat("[", n) + strings.Repeat("]", n),
		"hidden brackets": "a = " + strings.Repeat("[ # ]\n", 4*n),
		"parentheses":     "a = " + strings.Repeat("(", n) + "1" + strings.Repeat(")", n),
		"not":             "a = " + strings.Repeat("!", 20*n) + "true",
		"few not":         "a = " + strings.Repeat("!", n) + "true",
		"sum":             "a = 1" + strings.Repeat("+1", 2*n),
		"conditions":      "a = " + strings.Repeat("true?1:", n) + "1",
		"blocks":          strings.Repeat("a {\n", n) + strings.Repeat("}\n", n),
		"many blocks":     strings.Repeat("x {}\n", n),
		"templates":       "a = \"" + strings.Repeat("${\"", n),
		"digits":          "a = " + strings.Repeat("9", 20*n),
		"long name":       "axis \"a\" { values = [\"" + strings.Repeat("a", 20*n) + "\"] }",
		"splat":           "a = b" + strings.Repeat("[*]", n),
		"many arguments":  "lab \"x\" {\n" + strings.Repeat("a = 1\n", 4*n) + "}",
	} {
		text := src
		if value, ok := strings.CutPrefix(src, "a = "); ok {
			text = "axis \"a\" {\n  values = " + value + "\n}\n"
		}
		start := time.Now()
		_, diags := Load(write(t, map[string]string{"lab.hcl": text}), testKinds(), readCompose)
		_, _ = Format([]byte(text), "lab.hcl")
		if !diags.HasErrors() {
			t.Errorf("%s: no error", name)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s: took %s", name, took)
		} else {
			t.Logf("%s: %s, %s", name, took, diags[0].Summary)
		}
	}
}

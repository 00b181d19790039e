package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pages are the Markdown files of this repository, by their paths.
func pages(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	add := func(paths ...string) {
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			texts[path] = string(text)
		}
	}
	add(filepath.Join(repository(), "README.md"), filepath.Join(repository(), "CHANGELOG.md"))
	for _, dir := range []string{"docs", "labs"} {
		err := filepath.WalkDir(filepath.Join(repository(), dir), func(path string, _ fs.DirEntry, err error) error {
			if strings.HasSuffix(path, ".md") {
				add(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return texts
}

var (
	fenced  = regexp.MustCompile("(?ms)^```.*?^```$")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	spoken  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// Every link from one page to another leads to a file that exists, and to a heading that it has.
func TestLinks(t *testing.T) {
	texts := pages(t)
	seen := 0
	for path, text := range texts {
		for _, m := range link.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			seen++
			file, anchor, _ := strings.Cut(m[1], "#")
			target := path
			if file != "" {
				target = filepath.Join(filepath.Dir(path), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which does not exist", path, m[1])
				continue
			}
			if anchor == "" {
				continue
			}
			found := false
			for _, h := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(texts[target], ""), -1) {
				found = found || strings.ReplaceAll(spoken.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-") == anchor
			}
			if !found {
				t.Errorf("%s links to %s, and there is no such heading", path, m[1])
			}
		}
	}
	if seen < 30 {
		t.Errorf("only %d links were found", seen)
	}
}

var (
	typed  = regexp.MustCompile(`(?m)^ *(?:- )?(?:run: )?(?:\$ )?(?:sudo (?:--preserve-env )?)?(?:bin/)?saigen ([a-z]+)(.*)$`)
	code   = regexp.MustCompile("(?ms)^```.*?^```$|^    [^\n]*$")
	anyArg = regexp.MustCompile(` (--[a-z-]+)`)
)

// Every command that a page tells to type exists, and has the flags that it is given.
func TestTypedCommands(t *testing.T) {
	var out bytes.Buffer
	root := shipped(&out).root()
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	seen := 0
	for path, text := range pages(t) {
		for _, m := range typed.FindAllStringSubmatch(strings.Join(code.FindAllString(text, -1), "\n"), -1) {
			own, _, _ := strings.Cut(m[2], " -- ")
			own, _, _ = strings.Cut(own, "#")
			c, _, err := root.Find(append([]string{m[1]}, strings.Fields(own)...))
			if err != nil || c == root {
				t.Errorf("%s: there is no command for %q", path, strings.TrimSpace(m[0]))
				continue
			}
			seen++
			for _, flag := range anyArg.FindAllStringSubmatch(own, -1) {
				if c.Flag(strings.TrimPrefix(flag[1], "--")) == nil {
					t.Errorf("%s: saigen %s has no flag %s", path, m[1], flag[1])
				}
			}
		}
	}
	if seen < 40 {
		t.Errorf("only %d commands were found", seen)
	}
}

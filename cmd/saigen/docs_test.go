package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/saigen-lab/saigen/assertions"
	"github.com/saigen-lab/saigen/faults"
	"github.com/saigen-lab/saigen/labfile"
)

// shipped is the command as main makes it, with its output in a buffer.
func shipped(out *bytes.Buffer, args ...string) *world {
	return &world{
		args: args, env: func(string) string { return "" }, stdin: os.Stdin, stdout: out, stderr: out,
		drivers: shippedDrivers(),
		kinds:   labfile.Kinds{Faults: faults.Kinds(), Assertions: assertions.Kinds()},
		fetcher: testFetcher,
	}
}

// page compares a page of docs/ with what it is made from, or writes it with -update.
func page(t *testing.T, name, want string) {
	t.Helper()
	path := filepath.Join(repository(), "docs", name)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), want); diff != "" {
		t.Errorf("docs/%s is not what the code says; write it with: go test ./cmd/saigen -update\n%s", name, diff)
	}
}

func TestKindsPage(t *testing.T) {
	var out bytes.Buffer
	if code := shipped(&out, "kinds", "--markdown").run(t.Context()); code != 0 {
		t.Fatalf("exit code %d: %s", code, out.String())
	}
	for _, k := range faults.Kinds() {
		if !strings.Contains(out.String(), "\n### "+k.Name+"\n") {
			t.Errorf("fault %s has no heading", k.Name)
		}
	}
	for _, k := range assertions.Kinds() {
		if !strings.Contains(out.String(), "\n### "+k.Name+"\n") {
			t.Errorf("assertion %s has no heading", k.Name)
		}
	}
	page(t, "kinds.md", out.String())
}

func TestCommandsPage(t *testing.T) {
	var out bytes.Buffer
	w := shipped(&out)
	root := w.root()
	root.InitDefaultCompletionCmd()
	fmt.Fprintf(&out, `# Commands

Every command and its flags, made from the code. `+"`saigen help COMMAND`"+` says the same.

%s
`+"```\n%s\n```\n", oneLine(root.Long), root.Example)
	for _, group := range root.Groups() {
		fmt.Fprintf(&out, "\n## %s\n", strings.TrimSuffix(group.Title, ":"))
		for _, c := range root.Commands() {
			if c.GroupID == group.ID {
				describe(&out, c)
			}
		}
	}
	out.WriteString(outside)
	page(t, "commands.md", out.String())
}

// describe writes a command's section.
func describe(out *bytes.Buffer, c *cobra.Command) {
	fmt.Fprintf(out, "\n### %s\n\n`%s`\n\n%s.\n", c.Name(), c.UseLine(), c.Short)
	if c.Long != "" {
		fmt.Fprintf(out, "\n%s", oneLine(c.Long))
	}
	if c.Example != "" {
		fmt.Fprintf(out, "\n```\n%s\n```\n", c.Example)
	}
	for _, sub := range c.Commands() {
		fmt.Fprintf(out, "\n`%s`\n\n%s.\n", sub.UseLine(), sub.Short)
		if flags := sub.NonInheritedFlags(); flags.HasAvailableFlags() {
			fmt.Fprintf(out, "\n```\n%s```\n", flags.FlagUsages())
		}
	}
	if flags := c.NonInheritedFlags(); flags.HasAvailableFlags() {
		fmt.Fprintf(out, "\n```\n%s```\n", flags.FlagUsages())
	}
}

// oneLine makes a text that is broken for a terminal a paragraph.
func oneLine(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", " ") + "\n"
}

// outside is what commands.md says of the world around the command. TestOutside holds it to the code.
const outside = `
## Exit codes

| code | what it says |
|---|---|
| 0 | every variant got its expected verdict |
| 1 | some did not; for ` + "`fmt --check`" + `: some file is not formatted; for ` + "`doctor`" + `: this host lacks something for every driver; with ` + "`--drivers`" + `: two drivers gave different verdicts; for ` + "`diff`" + `: something differs |
| 2 | the lab or the command line is wrong; nothing was started |
| 3 | something could not be looked at: inconclusive |
| 130 | interrupted |

` + "`exec` and `shell`" + ` end with the code of the command in the machine.

## Environment

| variable | what it changes |
|---|---|
| ` + "`XDG_CACHE_HOME`, `XDG_STATE_HOME`, `XDG_RUNTIME_DIR`, `HOME`" + ` | where images, evidence and sockets are: [run-folder.md](run-folder.md) |
| ` + "`SAIGEN_ENGINE`, `DOCKER_HOST`" + ` | the address of an existing Docker or Podman to use instead of saigen's own private one; the first wins |
| ` + "`NO_COLOR`, `TERM`" + ` | no colour; ` + "`TERM=dumb`" + `: no live view either |
| ` + "`LC_ALL`, `LC_CTYPE`, `LANG`" + ` | whether marks and lines on a terminal may be other than ASCII |
| ` + "`SAIGEN_CACHE_SIZE`" + ` | what the cache may occupy after a run, such as ` + "`5GiB`" + `; default: 20GiB |
| ` + "`GOPROXY`, `GOSUMDB`, `GOPRIVATE`, …; `NPM_CONFIG_REGISTRY`" + ` | where images get Go modules and npm packages from, as for go and npm themselves, whose files of settings count too |
| ` + "`GITHUB_ACTIONS`, `GITHUB_STEP_SUMMARY`" + ` | annotations, and a summary on the page of the job: [ci.md](ci.md) |
| ` + "`SAIGEN_DEBUG`" + ` | set: what saigen does inside is told on stderr |
`

// variable finds where the environment is read.
var variable = regexp.MustCompile(`(?:env|or|Getenv)\("([A-Z_]+)"`)

// Every variable that the command reads is in commands.md.
func TestOutside(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range variable.FindAllStringSubmatch(string(src), -1) {
			found++
			if !strings.Contains(outside, "`"+m[1]+"`") {
				t.Errorf("%s reads %s, which docs/commands.md does not name", f, m[1])
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d readings of the environment were found", found)
	}
}

// explained is a line of flags as it should be: a value has a name in capitals, and there is help after it.
var explained = regexp.MustCompile(`^ +(-\w, )?--[a-z-]+( [A-Z]+)? {2,}\S.*[^.\s]\n$`)

// Help is documentation: every command has some, in one style, and so has every flag.
func TestHelp(t *testing.T) {
	var out bytes.Buffer
	root := shipped(&out).root()
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	seen := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		seen++
		if c.Parent() != nil && c.Parent().Name() == "completion" {
			return // cobra's own
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || len(c.Short) > 80 {
			t.Errorf("%s: the line of help is missing, too long, or ends with a stop: %q", c.CommandPath(), c.Short)
		}
		if c.Name() != "help" && c.Runnable() && c.Long == "" && c.Example == "" && strings.Contains(c.Use, " ") {
			t.Errorf("%s takes arguments, and neither a text nor an example explains them", c.CommandPath())
		}
		for line := range strings.Lines(c.Long + "\n" + c.Example) {
			if len(line) > 121 {
				t.Errorf("%s: a line of help is too wide: %q", c.CommandPath(), line)
			}
		}
		for flag := range strings.Lines(c.LocalFlags().FlagUsages()) {
			if !explained.MatchString(flag) {
				t.Errorf("%s: a flag without help, without a name for its value, or with a stop at the end: %q", c.CommandPath(), flag)
			}
		}
		if c.HasParent() && c.GroupID == "" && c.Parent() == root {
			t.Errorf("%s is in no group", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	if seen < 15 {
		t.Errorf("%d commands", seen)
	}
	for _, c := range root.Commands() {
		for _, args := range [][]string{{"help", c.Name()}, {c.Name(), "--help"}} {
			out.Reset()
			if code := shipped(&out, args...).run(t.Context()); code != 0 || !strings.Contains(out.String(), "saigen "+c.Name()) {
				t.Errorf("saigen %s: exit code %d: %s", strings.Join(args, " "), code, out.String())
			}
		}
	}
}

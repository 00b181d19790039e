package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/assertions"
	"github.com/saigen-lab/saigen/faults"
	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labfile"
	"github.com/saigen-lab/saigen/runner"
)

// testdata/run is a run of stale-dns on the container driver, thinned: of the control arm every fourth look, of the
// journals some of the lines.
const fixture = "testdata/run"

const fixtureTrial = "bookworm,port_taken,1"

func thaw(data []byte) (*lab.Lab, error) {
	return labfile.Frozen(data, labfile.Kinds{Faults: faults.Kinds(), Assertions: assertions.Kinds()})
}

func render(t *testing.T, folders ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := HTML(&out, thaw, folders...); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// copied is a run's folder to spoil: the fixture, changed by change.
func copied(t *testing.T, change func(run, trial string)) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(fixture)); err != nil {
		t.Fatal(err)
	}
	change(dir, filepath.Join(dir, fixtureTrial))
	return dir
}

func rewrite(t *testing.T, path string, change func(string) string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(change(string(data))), 0o644); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if err := os.Remove(p); err != nil {
			t.Fatal(err)
		}
	}
}

// The page says what it must, in any browser and in none: it is there without a script.
func TestHTMLSays(t *testing.T) {
	page := render(t, fixture)
	if len(page) > 500_000 {
		t.Errorf("the page of one trial has %d bytes", len(page))
	}
	text := html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(page, ""))
	at := 0
	for _, want := range []string{ // in this order
		"nginx is slow: container DNS answers with the addresses of containers that are gone",
		"reproduced", "as expected",
		"All 5 symptoms were absent without the fault and present with it, and gone after forget_the_network; start_again,",
		"The slowest page", "without the fault", "157 ms", "with the fault", "6.2 s", "after “forget the network”", "92 ms",
		"three seconds for each dead address",
		"What was tried against it", "start again", "did not cure, as declared", "forget the network", "cured",
		"Everything that was watched", "dead addresses", "eight answers", "slow pages", "no route",
		"What must hold all the time", "bob is served", "bobs dns runs",
		"Logs", "fault arm", "connect() failed (113: No route to host)",
		"What saigen did", "injecting fault.container_churn.deploys_that_die",
		"saigen run labs/stale-dns debian:bookworm trigger:port_taken --driver container",
		"saigen up labs/stale-dns", "saigen shell --account alice", "fault arm: started afresh", "ready",
		"The incident", "What people saw", "What misled them",
		"container", "v0.2.0", "Debian GNU/Linux 12 (bookworm), Linux 6.1.0-28-amd64, amd64, 2 processors, 23.5 GiB of memory",
		"aardvark-dns 1.4.0-3", "podman 4.3.1+ds1-8",
	} {
		i := strings.Index(text[at:], want)
		if i < 0 {
			t.Fatalf("the page does not say %q after %q", want, text[max(0, at-80):at])
		}
		at += i
	}
	if page != render(t, fixture) {
		t.Error("the same folder gives another page")
	}
}

// The policy allows exactly the scripts and styles that are in the page.
func TestHTMLPolicy(t *testing.T) {
	page := render(t, fixture)
	policy := regexp.MustCompile(`http-equiv="Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(page)
	if policy == nil || !strings.HasPrefix(policy[1], "default-src 'none'; ") {
		t.Fatalf("policy: %q", policy)
	}
	blocks := regexp.MustCompile(`(?s)<(script|style)>(.*?)</(?:script|style)>`).FindAllStringSubmatch(page, -1)
	if len(blocks) != 3 {
		t.Fatalf("%d scripts and styles", len(blocks))
	}
	for _, b := range blocks {
		sum := sha256.Sum256([]byte(b[2]))
		if hash := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; strings.Count(policy[1], hash) != 1 {
			t.Errorf("a %s is not in the policy", b[1])
		}
	}
	if n := strings.Count(policy[1], "sha256-"); n != len(blocks) {
		t.Errorf("%d hashes for %d blocks", n, len(blocks))
	}
	for _, bad := range []string{" src=", "@import", "url(", " onclick", " onload", "javascript:", " style="} {
		if strings.Contains(strings.ToLower(regexp.MustCompile(`(?s)<script.*?</script>`).ReplaceAllString(page, "")), bad) {
			t.Errorf("the page has %q", bad)
		}
	}
}

const xss = "\x1b[31m<script>window.pwned=1</script><img src=x onerror='pwned=1'>\u202e\"'`${pwned}</pre><!--]]>"

// spoil puts hostile text everywhere where a machine or somebody else's lab can put it.
func spoil(t *testing.T) string {
	return copied(t, func(run, trial string) {
		quote := func(s string) string {
			b, _ := json.Marshal(s)
			return strings.Trim(string(b), `"`)
		}
		rewrite(t, filepath.Join(trial, "logs", "fault-server-journal.log"), func(s string) string {
			return s + "\nNov 22 17:01:30.000000 server proxy[1]: connect() failed (113: No route to host) " + xss + "\n" + xss
		})
		rewrite(t, filepath.Join(trial, runner.ObservationsFile), func(s string) string {
			return strings.NewReplacer(`"summary":"`, `"summary":"`+quote(xss), `"lines":["`, `"lines":["`+quote(xss)).Replace(s)
		})
		rewrite(t, filepath.Join(trial, runner.StoryFile), func(s string) string {
			return s + "\n" + xss + "\n\n[link](javascript:pwned=1) ![picture](http://192.0.2.1/x.png) <b onclick=pwned=1>raw</b> <javascript:pwned=1> <svg onload=pwned=1></svg>\n\n[data](data:text/html,x) [file](file:///etc/passwd)\n\n<script>pwned=1</script>\n"
		})
		rewrite(t, filepath.Join(run, runner.EventsFile), func(s string) string {
			return strings.ReplaceAll(s, `"text":"`, `"text":"`+quote(xss))
		})
		rewrite(t, filepath.Join(trial, runner.VerdictFile), func(s string) string {
			return strings.NewReplacer(`"because": "`, `"because": "`+quote(xss), `"last": "`, `"last": "`+quote(xss)).Replace(s)
		})
		rewrite(t, filepath.Join(trial, runner.LabFile), func(s string) string {
			return strings.Replace(s, `"title": "`, `"title": "`+quote(xss), 1)
		})
		rewrite(t, filepath.Join(run, "run.json"), func(s string) string {
			return strings.NewReplacer(`"kernel": "`, `"kernel": "`+quote(xss), `"path": "`, `"path": "`+quote(xss)).Replace(s)
		})
		rewrite(t, filepath.Join(run, "lab.lock.json"), func(s string) string {
			return strings.Replace(s, `"podman": "`, `"podman": "`+quote(xss), 1)
		})
	})
}

func TestHTMLEscapes(t *testing.T) {
	page := render(t, spoil(t))
	own := regexp.MustCompile(`(?s)<script.*?</script>`)
	if n := len(own.FindAllString(page, -1)); n != 3 {
		t.Errorf("%d scripts: the data and our own two are 3", n)
	}
	rest := own.ReplaceAllString(page, "")
	for _, bad := range []string{"<img", "<script", "\x1b", "\u202e", "<b onclick", `href="javascript:`, `href="data:`, `href="file:`, "<svg onload", "192.0.2.1"} {
		if strings.Contains(strings.ToLower(rest), bad) {
			t.Errorf("%q came through", bad)
		}
	}
	if n := strings.Count(rest, "&lt;script&gt;window.pwned"); n < 10 {
		t.Errorf("the hostile text is shown %d times", n)
	}
}

func TestStory(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"# A title\n\nText", "<p>Text</p>\n"},
		{"# Another\n\n## Part", "<h2>Another</h2>\n<h3>Part</h3>\n"},
		{"a | b\n--|--\n1 | 2", "<table>"},
		{"<script>x</script>", "<!-- raw HTML omitted -->"},
		{"[x *y*](javascript:x)", "<p>x <em>y</em></p>"},
		{"[x](https://example.org/)", `<a href="https://example.org/" rel="noopener noreferrer">x</a>`},
		{"![what it shows](http://x/y.png)", "<em>[picture: what it shows]</em>"},
		{"a \x1b[31mred\x1b[0m word", "a red word"},
	} {
		if got := string(storyHTML([]byte(c.in), "A title")); !strings.Contains(got, c.want) {
			t.Errorf("%q is %q, and should have %q", c.in, got, c.want)
		}
	}
}

// What became of runs that did not go well: the first sentence names the cause.
func TestHTMLOfTrouble(t *testing.T) {
	because := regexp.MustCompile(`<p class="because">(.*?)</p>`)
	for _, c := range []struct {
		name          string
		change        func(run, trial string)
		word, because string
		has           []string
	}{
		{"inconclusive", func(_, trial string) {
			remove(t, filepath.Join(trial, runner.ObservationsFile))
			rewrite(t, filepath.Join(trial, runner.VerdictFile), func(string) string {
				return `{"verdict": "inconclusive", "expect": "reproduced", "because": "cannot start stack.alice: port 4430 is taken", "hint": "ss -tlnp shows by whom",
				"tail": "Error: rootlessport listen tcp 0.0.0.0:4430\n\u001b[31mbind: address already in use", "trial": 1, "symptoms": [], "arms": [{"name": "fault", "phases": [], "failed": "cannot start stack.alice"}]}`
			})
		}, "inconclusive", "Cannot start stack.alice: port 4430 is taken.", []string{"ss -tlnp shows by whom", "bind: address already in use", "expected: reproduced"}},
		{"exits", func(_, trial string) {
			remove(t, filepath.Join(trial, runner.ObservationsFile))
			rewrite(t, filepath.Join(trial, "logs", "fault-server-journal.log"), func(string) string {
				return "Nov 22 17:01:01.000000 server systemd[1]: Started user@1000.service\nNov 22 17:01:02.000000 server app[401]: 2026/11/22 17:22:24 no <database>\nNov 22 17:01:03.000000 server systemd[1]: Stopped"
			})
			rewrite(t, filepath.Join(trial, runner.VerdictFile), func(string) string {
				return `{"verdict": "inconclusive", "expect": "reproduced", "because": "ready.container.alice_app did not pass within 1m0s (exited)", "trial": 1, "arms": [{"name": "fault", "phases": []}]}`
			})
		}, "inconclusive", "ready.container.alice_app did not pass within 1m0s (exited).",
			[]string{"app[401]: 2026/11/22 17:22:24 no &lt;database&gt;</pre>", "Never looked at: dead addresses", "<details open><summary>"}},
		{"killed", func(run, trial string) {
			remove(t, filepath.Join(trial, runner.VerdictFile), filepath.Join(run, runner.SummaryFile), filepath.Join(run, "lab.lock.json"))
			rewrite(t, filepath.Join(trial, runner.ObservationsFile), func(s string) string { return s[:len(s)/2] })
			rewrite(t, filepath.Join(run, runner.EventsFile), func(s string) string { return s[:len(s)/2] })
		}, "no verdict", "The run ended before this trial was judged.", []string{"which did not end", "fault in force", "was not recorded"}},
		{"other kinds", func(_, trial string) {
			rewrite(t, filepath.Join(trial, runner.LabFile), func(s string) string {
				return strings.ReplaceAll(s, `"kind": "dns_answers"`, `"kind": "from_the_future"`)
			})
		}, "reproduced", "All 5 symptoms", []string{"What could not be read", "this saigen does not know how to judge it"}},
		{"spoiled", func(run, trial string) {
			rewrite(t, filepath.Join(trial, runner.ObservationsFile), func(s string) string { return "{\n" + s })
			rewrite(t, filepath.Join(run, runner.SummaryFile), func(string) string { return "[" })
			remove(t, filepath.Join(trial, runner.StoryFile))
		}, "reproduced", "All 5 symptoms", []string{"What could not be read", "observations.jsonl:1", "summary.json"}},
		{"nothing", func(_, trial string) {
			if err := os.RemoveAll(trial); err != nil {
				t.Fatal(err)
			}
		}, "nothing to judge", "No trial was started", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			page := render(t, copied(t, c.change))
			if !strings.Contains(page, `<p class="word">`+c.word) {
				t.Errorf("the page does not say %q", c.word)
			}
			if got := because.FindStringSubmatch(page); got == nil || !strings.HasPrefix(got[1], c.because) {
				t.Errorf("first sentence: %q, want %q", got, c.because)
			}
			for _, want := range c.has {
				if !strings.Contains(page, want) {
					t.Errorf("the page does not have %q", want)
				}
			}
			if strings.Contains(page, "\x1b") || strings.Contains(page, "ZgotmplZ") {
				t.Error("the page is not clean")
			}
		})
	}
	if err := HTML(&bytes.Buffer{}, thaw, t.TempDir()); err == nil || !strings.Contains(err.Error(), "run.json") {
		t.Errorf("a folder that is no run: %v", err)
	}
}

// several is a set of runs: one reproduced four times, of which one trial went wrong and one was inconclusive.
func several(t *testing.T) []string {
	set := copied(t, func(run, trial string) {
		for n, verdict := range map[string]string{"2": "reproduced", "3": "not_reproduced", "4": "inconclusive"} {
			to := filepath.Join(run, "bookworm,port_taken,"+n)
			if err := os.CopyFS(to, os.DirFS(trial)); err != nil {
				t.Fatal(err)
			}
			rewrite(t, filepath.Join(to, runner.VerdictFile), func(s string) string {
				s = strings.Replace(s, `"verdict": "reproduced"`, `"verdict": "`+verdict+`"`, 1)
				if verdict != "reproduced" {
					s = regexp.MustCompile(`"because": ".*"`).ReplaceAllString(s, `"because": "why it is `+verdict+`"`)
				}
				return strings.Replace(s, `"trial": 1`, `"trial": `+n, 1)
			})
		}
	})
	return []string{set, fixture}
}

func TestHTMLOfSeveral(t *testing.T) {
	page := render(t, several(t)...)
	text := strings.Join(strings.Fields(html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(page, " "))), " ")
	for _, want := range []string{
		"stale-dns: 5 trials", "3 of 5 trials got the verdict that their lab expects, 1 did not, 1 could not be judged.",
		"stale-dns on container debian:bookworm trigger:port_taken : 3 of 4 as expected (95 % interval: 30 to 96 %), 1 inconclusive", "why it is not_reproduced.", "why it is inconclusive.",
		"trial 3: not reproduced",
	} {
		if !strings.Contains(strings.ToLower(text), strings.ToLower(want)) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if n := strings.Count(page, `<details class="trial"`); n != 5 {
		t.Errorf("%d trials", n)
	}
	if !regexp.MustCompile(`<details class="trial" id="t3" open>`).MatchString(page) || strings.Count(page, " open>") != 1 {
		t.Error("the trial that went wrong is not the open one")
	}
	if n := strings.Count(page, "<h2 id=\"story"); n != 1 {
		t.Errorf("the story of one lab is told %d times", n)
	}
}

// What the charts say of a look is what the verdict makes of it.
func TestLooksAreJudged(t *testing.T) {
	zero := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	at := func(s float64) time.Time { return zero.Add(time.Duration(s * float64(time.Second))) }
	phases := []runner.Phase{{Kind: runner.Baseline, Start: at(0), End: at(10)}, {Kind: runner.Inject, Start: at(10), End: at(20)}, {Kind: runner.InForce, Start: at(20)}}
	page := func(s, took float64, status float64) lab.Observation {
		return lab.Observation{At: at(s), Values: map[string]float64{"seconds": took, "status": status}}
	}
	busy := page(3, 4, 200)
	busy.Late = 700 * time.Millisecond
	latency := lab.Assertion{Role: "symptom", Kind: "http_latency", Name: "slow", Settings: []byte(`{"p95": "over 3s", "min_samples": 2}`),
		Do: &assertions.HTTPLatency{P95: "over 3s", MinSamples: 2}}
	log := lab.Assertion{Role: "symptom", Kind: "log", Name: "l", Settings: []byte(`{"count": "at least 3", "match": "x"}`), Do: &assertions.Log{Count: "at least 3"}}
	lines := func(s, n float64) lab.Observation {
		return lab.Observation{At: at(s), Values: map[string]float64{"lines": n}}
	}
	for _, c := range []struct {
		a            lab.Assertion
		looks        []lab.Observation
		states, mark string
		values       []float64
	}{
		{latency, []lab.Observation{page(-1, 4, 200), page(1, 0.1, 200), busy, {At: at(4), Err: "no such stack"}, page(11, 5, 200), page(21, 4, 200), page(22, 5, 200), page(23, 0.1, 200), page(24, 0.01, 0)},
			"unubunhhh", "unubuhhnu", []float64{4, 0.1, 4, 0, 5, 4, 5, 0.1, 0}},
		{log, []lab.Observation{lines(1, 2), lines(2, 0), lines(21, 2), lines(22, 1), lines(23, 0)}, "nnnhh", "nnnhh", []float64{2, 2, 2, 3, 3}},
	} {
		p := probe{a: c.a, d: drawnOf(c.a, "")}
		states, mark := "", ""
		var values []float64
		for _, l := range p.judge(phases, c.looks) {
			states, mark, values = states+string(l.state), mark+string(l.mark), append(values, l.value)
		}
		if states != c.states || mark != c.mark || !slices.Equal(values, c.values) {
			t.Errorf("%s: states %s marks %s values %v, want %s %s %v", c.a.Kind, states, mark, values, c.states, c.mark, c.values)
		}
	}
}

// Every kind's value to draw is one that it observes.
func TestEveryKindIsDrawn(t *testing.T) {
	var sources strings.Builder
	err := fs.WalkDir(assertions.Sources(), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") {
			return err
		}
		data, err := fs.ReadFile(assertions.Sources(), path)
		sources.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range assertions.Kinds() {
		settings, err := json.Marshal(k.New())
		if err != nil {
			t.Fatal(err)
		}
		d := drawnOf(lab.Assertion{Kind: k.Name, Settings: settings}, "")
		if d.value == "" || d.label == "" {
			t.Errorf("%s is not in the table: what of it is drawn?", k.Name)
		} else if name, _, _ := strings.Cut(d.value, "."); !strings.Contains(sources.String(), `"`+name+`"`) {
			t.Errorf("%s: no assertion has a value %q", k.Name, d.value)
		}
	}
}

func TestQuoted(t *testing.T) {
	for in, want := range map[string]string{
		"labs/stale-dns": "labs/stale-dns", "a b": "'a b'", "": "''", "it's": `'it'\''s'`, "$(x)": "'$(x)'", "debian:bookworm": "debian:bookworm", "\x1b[1m;rm": "';rm'",
	} {
		if got := quoted(in); got != want {
			t.Errorf("%q is %s, want %s", in, got, want)
		}
	}
}

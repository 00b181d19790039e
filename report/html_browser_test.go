package report

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

var shots = flag.String("shots", "", "write pictures of the report into this folder")

// browser is a headless Chromium with one page. What it complains about and what it asks the network for is kept.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string
	requests   []string
}

// newBrowser starts a Chromium with a profile of its own, and stops it when the test ends.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("SAIGEN_REAL") != "" {
			t.Fatal("there is no Chromium, and make test installs it: apt-get install --no-install-recommends chromium")
		}
		t.Skip("there is no Chromium: apt-get install --no-install-recommends chromium")
	}
	home := t.TempDir()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.UserDataDir(filepath.Join(home, "profile")), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true),
		chromedp.Env("HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home), // crash reports would go there, and nowhere else
		chromedp.WSURLReadTimeout(time.Minute))
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute) // t's own ends before the clean-up
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	ctx, leave := chromedp.NewContext(ctx, chromedp.WithErrorf(func(string, ...any) {})) // news of protocol parts that it does not know
	t.Cleanup(func() {                                                                   // the profile can be removed only when nobody writes to it any more
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("cannot stop the browser: %v", err)
		}
		leave()
		stop()
		cancel()
	})
	b := &browser{t: t, ctx: ctx}
	chromedp.ListenTarget(ctx, b.hear)
	b.run(network.Enable(), log.Enable(), page.Enable())
	return b
}

func (b *browser) hear(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, ev.Request.URL)
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, ev.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		if ev.Type == runtime.APITypeError || ev.Type == runtime.APITypeWarning {
			for _, a := range ev.Args {
				b.complaints = append(b.complaints, "console: "+string(a.Value)+a.Description)
			}
		}
	case *log.EventEntryAdded:
		b.complaints = append(b.complaints, "log: "+ev.Entry.Text)
	case *page.EventJavascriptDialogOpening:
		b.complaints = append(b.complaints, "dialog: "+ev.Message)
	}
}

func (b *browser) run(actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// look sets the window and the colours.
func (b *browser) look(width, height int64, scheme string) {
	b.t.Helper()
	b.run(emulation.SetDeviceMetricsOverride(width, height, 1, width < 600),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}))
}

// open loads a page and waits until its charts are drawn.
func (b *browser) open(html string) {
	b.t.Helper()
	file := filepath.Join(b.t.TempDir(), "report.html")
	if err := os.WriteFile(file, []byte(html), 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.run(chromedp.Navigate("file://" + file))
	b.until(`[...document.querySelectorAll(".plot")].every((p) => !p.clientWidth || p.querySelector("canvas"))`)
}

// eval reads a value back from the page.
func eval[T any](b *browser, script string) T {
	b.t.Helper()
	var v T
	b.run(chromedp.Evaluate(script, &v))
	return v
}

// until waits for a condition of the page.
func (b *browser) until(condition string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	if err := chromedp.Run(ctx, chromedp.Poll("(() => "+condition+")()", nil, chromedp.WithPollingInterval(20*time.Millisecond))); err != nil {
		b.t.Fatalf("never came true: %s: %v", condition, err)
	}
}

func (b *browser) shot(name string) {
	b.t.Helper()
	if *shots == "" {
		return
	}
	var png []byte
	b.run(chromedp.CaptureScreenshot(&png))
	if err := os.WriteFile(filepath.Join(*shots, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// quiet says that the page complained about nothing and asked the network for nothing but itself.
func (b *browser) quiet(opened int) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		b.t.Errorf("the page complains: %s", c)
	}
	if len(b.requests) != opened {
		b.t.Errorf("%d requests for %d pages: %s", len(b.requests), opened, b.requests)
	}
	for _, r := range b.requests {
		if !strings.HasPrefix(r, "file:///") || !strings.HasSuffix(r, "/report.html") {
			b.t.Errorf("the page asked for %s", r)
		}
	}
}

// row is one look, as the page's table of them shows it.
type row struct {
	Arm, At, Phase, State, Value, What string
}

func (r row) seconds() float64 {
	v, err := strconv.ParseFloat(r.Value, 64)
	if err != nil {
		return math.NaN()
	}
	return v
}

// rows opens the table of a probe and reads it.
func (b *browser) rows(probe string) []row {
	b.t.Helper()
	table := fmt.Sprintf(`details.table[data-probe=%q]`, probe)
	b.run(chromedp.Evaluate(fmt.Sprintf(`document.querySelector(%q).open = true`, table), nil))
	b.until(fmt.Sprintf(`document.querySelector(%q + " tbody tr")`, table))
	return eval[[]row](b, fmt.Sprintf(`[...document.querySelectorAll(%q + " tbody tr")].map((tr) => {
		const c = [...tr.cells].map((td) => td.innerText);
		return { Arm: c[0], At: c[1], Phase: c[2], State: c[3], Value: c[4], What: c[5] };
	})`, table))
}

// The page shows what happened: pages were fast, then slow in steps of three seconds for each dead address, then fast
// again; and without the fault they were fast all the time.
func TestBrowserShowsTheIncident(t *testing.T) {
	b := newBrowser(t)
	b.look(1200, 1500, "light")
	b.open(render(t, fixture))
	b.shot("light")

	const fast, step = 0.5, 3.0
	seen := map[string]int{}
	steps := map[int]bool{}
	probe := eval[string](b, `document.querySelector(".big").id`)
	for _, r := range b.rows(probe) {
		v := r.seconds()
		switch where := r.Arm + " " + r.Phase; where {
		case "fault baseline", "control baseline", "control hold", "fault soak forget_the_network":
			if !(v < fast) {
				t.Errorf("%s, at %s: a page took %q s", where, r.At, r.Value)
			}
			seen[where]++
		case "fault fault":
			dead := strings.Count(r.What, "No route to host")
			if dead == 0 && !(v < fast) {
				t.Errorf("at %s a page took %q s, and no dead address explains it", r.At, r.Value)
			}
			if dead > 0 {
				if each := v / float64(dead); each < 0.95*step || each > 1.17*step {
					t.Errorf("at %s a page took %q s for %d dead addresses", r.At, r.Value, dead)
				}
				steps[dead] = true
			}
			seen[where]++
		}
	}
	for _, where := range []string{"fault baseline", "fault fault", "fault soak forget_the_network", "control baseline", "control hold"} {
		if seen[where] == 0 {
			t.Errorf("the page shows no look in %s", where)
		}
	}
	if !steps[1] || !steps[2] {
		t.Errorf("slow pages with %v dead addresses: a step of three seconds, and one of six", steps)
	}
	figures := eval[[]string](b, `[...document.querySelectorAll(".figure .value")].map((e) => e.innerText)`)
	if want := []string{"157 ms", "6.2 s", "92 ms"}; !slices.Equal(figures, want) {
		t.Errorf("the three figures are %s, want %s", figures, want)
	}
	b.drawn()
	b.quiet(1)
}

// drawn says that every probe has a chart for each arm, and that something is drawn in it.
func (b *browser) drawn() {
	b.t.Helper()
	type chart struct {
		ID      string
		Colours int
	}
	charts := eval[[]chart](b, `[...document.querySelectorAll(".plot")].map((p) => {
		const c = p.querySelector("canvas"), d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data, seen = new Set();
		for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 200) seen.add(d[i] + "," + d[i + 1] + "," + d[i + 2]);
		return { ID: p.id, Colours: seen.size };
	})`)
	probes := eval[[]string](b, `JSON.parse(document.getElementById("data").textContent).trials.t1.probes.map((p) => p.id)`)
	if len(probes) != 7 || len(charts) != 2*len(probes) {
		b.t.Errorf("%d charts for %d probes in two arms", len(charts), len(probes))
	}
	for _, c := range charts {
		if c.Colours < 4 {
			b.t.Errorf("chart %s has %d colours: nothing is drawn in it", c.ID, c.Colours)
		}
	}
}

// Everything that the mouse can do can be done with the keyboard, and says the exact value.
func TestBrowserKeyboard(t *testing.T) {
	b := newBrowser(t)
	b.look(1200, 900, "light")
	b.open(render(t, fixture))
	active := `document.activeElement.className + " " + document.activeElement.id`
	reached := map[string]bool{}
	for range 200 {
		b.run(chromedp.KeyEvent(kb.Tab))
		at := eval[string](b, active)
		if reached[at] && strings.HasPrefix(at, "skip") {
			break
		}
		reached[at] = true
		if strings.HasPrefix(at, "plot") && strings.HasSuffix(at, "fault") && !reached["told"] {
			reached["told"] = true
			tip := func() string {
				return eval[string](b, `(document.activeElement.querySelector(".tip:not([hidden])") || {innerText: ""}).innerText`)
			}
			b.run(chromedp.KeyEvent(kb.ArrowRight))
			if got := tip(); !strings.Contains(got, "at 0 s · baseline") || !strings.Contains(got, "200 in ") {
				t.Errorf("the first look says %q", got)
			}
			b.run(chromedp.KeyEvent(kb.PageDown), chromedp.KeyEvent(kb.PageDown))
			if got := tip(); !strings.Contains(got, "· fault") {
				t.Errorf("two phases on, the look says %q", got)
			}
			slow := false
			for range 60 {
				b.run(chromedp.KeyEvent(kb.ArrowRight))
				if got := tip(); strings.HasPrefix(got, "6.23 s · the symptom is there") && strings.Count(got, "No route to host") == 2 {
					slow = true
					break
				}
			}
			if !slow {
				t.Error("no key reaches the slow page")
			}
			b.shot("keyboard")
			b.run(chromedp.KeyEvent(kb.End))
			if got := tip(); !strings.Contains(got, "soak forget the network") {
				t.Errorf("the last look says %q", got)
			}
			b.run(chromedp.KeyEvent(kb.Escape))
			if got := tip(); got != "" {
				t.Errorf("after Escape: %q", got)
			}
		}
	}
	if n := eval[int](b, `document.querySelectorAll(".plot").length`); n != 14 {
		t.Errorf("%d charts", n)
	}
	for _, id := range eval[[]string](b, `[...document.querySelectorAll(".plot")].map((p) => p.id)`) {
		if !reached["plot "+id] {
			t.Errorf("Tab does not reach %s", id)
		}
	}
	b.run(chromedp.Focus(`.zoom button:nth-child(3)`, chromedp.ByQuery), chromedp.KeyEvent(kb.Enter))
	if got := eval[string](b, `document.querySelector(".zoom button[aria-pressed=true]").innerText`); got != "fault" {
		t.Errorf("the part that is shown is %q", got)
	}
	b.shot("zoomed")
	b.run(chromedp.Focus(`details.full summary`, chromedp.ByQuery), chromedp.KeyEvent(kb.Enter))
	b.until(`(document.querySelector("details.full pre") || {textContent: ""}).textContent.includes("server systemd[1]")`)
	b.run(chromedp.SendKeys(`details.full input`, "no route", chromedp.ByQuery))
	lines := eval[[]string](b, `document.querySelector("details.full pre").textContent.split("\n")`)
	if len(lines) < 5 || slices.ContainsFunc(lines, func(l string) bool { return !strings.Contains(l, "No route") }) {
		t.Errorf("the filter leaves %d lines", len(lines))
	}
	b.run(chromedp.Evaluate(`new MutationObserver(() => { window.copied = true; }).observe(document.querySelector(".copy"), { childList: true, characterData: true, subtree: true })`, nil),
		chromedp.Focus(".copy", chromedp.ByQuery), chromedp.KeyEvent(kb.Enter))
	b.until(`window.copied`)
	b.quiet(1)
}

// The mouse shows the look below it.
func TestBrowserHover(t *testing.T) {
	b := newBrowser(t)
	b.look(1200, 1500, "dark")
	b.open(render(t, fixture))
	box := eval[[]float64](b, `(() => { const r = document.querySelector(".big .u-over").getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()`)
	b.run(chromedp.MouseEvent("mouseMoved", box[0]+box[2]-4, box[1]+box[3]/2))
	b.until(`[...document.querySelectorAll(".tip")].some((e) => !e.hidden && e.innerText.includes("soak forget the network"))`)
	if n := eval[int](b, `document.querySelectorAll(".tip:not([hidden])").length`); n != 1 {
		t.Errorf("%d charts say something", n)
	}
	b.shot("dark")
	b.quiet(1)
}

// From a small phone to a wide screen nothing has to be scrolled sideways, and every text can be read in both colours.
func TestBrowserFits(t *testing.T) {
	b := newBrowser(t)
	pages := map[string]string{"one": render(t, fixture), "several": render(t, several(t)...)}
	opened := 0
	for _, c := range []struct {
		name   string
		width  int64
		scheme string
	}{{"one", 320, "light"}, {"one", 768, "dark"}, {"one", 1600, "light"}, {"several", 320, "dark"}, {"several", 1200, "light"}} {
		b.look(c.width, 800, c.scheme)
		b.open(pages[c.name])
		opened++
		b.shot(fmt.Sprintf("%s-%d-%s", c.name, c.width, c.scheme))
		b.run(chromedp.Evaluate(`for (const d of document.querySelectorAll("details:not(.table)")) d.open = true; document.querySelector("details.table").open = true`, nil))
		b.until(`[...document.querySelectorAll(".plot")].every((p) => p.querySelector("canvas")) && document.querySelectorAll("details.full").length === document.querySelectorAll("details.full pre").length`)
		if wide := eval[int64](b, `document.documentElement.scrollWidth`); wide > c.width {
			t.Errorf("%s at %d: the page is %d wide: %s", c.name, c.width, wide, eval[[]string](b, `[...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll")).slice(0, 5).map((e) => e.tagName + "." + e.className)`))
		}
		for _, bad := range eval[[]string](b, contrast) {
			t.Errorf("%s at %d, %s: %s", c.name, c.width, c.scheme, bad)
		}
	}
	b.quiet(opened)
}

// contrast lists the texts that are too faint: WCAG 2 asks for 4.5 : 1, and 3 : 1 where letters are large.
const contrast = `(() => {
	const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return { rgb: m.slice(0, 3), a: m.length > 3 ? m[3] : 1 }; };
	const light = ([r, g, b]) => { const f = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
	const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.a > 0.99) return c.rgb; } return [255, 255, 255]; };
	const bad = new Set();
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walk.nextNode()) {
		const e = walk.currentNode.parentElement;
		if (!walk.currentNode.data.trim() || !e.getClientRects().length || e.closest("script, style")) continue;
		const css = getComputedStyle(e), a = light(parse(css.color).rgb), b = light(behind(e));
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), large = parseFloat(css.fontSize) >= 24;
		if (ratio < (large ? 3 : 4.5)) bad.add(e.tagName + "." + e.className + " has a contrast of " + ratio.toFixed(2));
	}
	const css = getComputedStyle(document.documentElement), probe = document.createElement("i");
	document.body.append(probe);
	const rgb = (name) => { probe.style.color = css.getPropertyValue(name); return parse(getComputedStyle(probe).color).rgb; };
	for (const name of ["--there", "--calm", "--blind", "--uncounted", "--muted"]) {
		const a = light(rgb(name)), b = light(rgb("--card"));
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < 4.5) bad.add(name + " of the charts has a contrast of " + ratio.toFixed(2));
	}
	probe.remove();
	return [...bad];
})()`

// What machines and labs say is text, whatever it says.
func TestBrowserHostile(t *testing.T) {
	b := newBrowser(t)
	b.look(1000, 1500, "light")
	b.open(render(t, spoil(t)))
	b.run(chromedp.Evaluate(`window.violations = []; document.addEventListener("securitypolicyviolation", (e) => window.violations.push(e.violatedDirective));
		for (const d of document.querySelectorAll("details")) d.open = true;
		for (const a of document.querySelectorAll("main a, main button")) a.click()`, nil))
	b.until(`document.querySelectorAll("details.full").length === document.querySelectorAll("details.full pre").length`)
	b.run(chromedp.Focus(`.big .plot`, chromedp.ByQuery), chromedp.KeyEvent(kb.ArrowRight))
	b.until(`document.querySelector(".big .tip:not([hidden])").innerText.includes("<script>window.pwned=1</script>")`)
	b.shot("hostile")
	if eval[bool](b, `"pwned" in window || document.images.length > 0 || document.querySelectorAll("main script").length > 0`) {
		t.Error("hostile text became a part of the page")
	}
	if v := eval[[]string](b, `window.violations`); len(v) > 0 {
		t.Errorf("the policy had to stop %s", v)
	}
	if n := eval[int](b, `document.body.innerText.split("<script>window.pwned=1</script>").length - 1`); n < 20 {
		t.Errorf("the hostile text is shown %d times", n)
	}
	b.quiet(1)
}

// It prints, on white paper, whatever the screen's colours are.
func TestBrowserPrints(t *testing.T) {
	b := newBrowser(t)
	b.look(1000, 1200, "dark")
	b.open(render(t, fixture))
	b.run(chromedp.Evaluate(`window.printed = []; addEventListener("beforeprint", () => setTimeout(() => {}, 0));
		new MutationObserver(() => window.printed.push(getComputedStyle(document.documentElement).getPropertyValue("--paper").trim())).observe(document.documentElement, { attributes: true })`, nil))
	var pdf []byte
	b.run(chromedp.ActionFunc(func(ctx context.Context) (err error) {
		pdf, _, err = page.PrintToPDF().WithPrintBackground(true).Do(ctx)
		return err
	}))
	if !strings.HasPrefix(string(pdf), "%PDF") || len(pdf) < 20_000 {
		t.Errorf("printed %d bytes", len(pdf))
	}
	b.until(`window.printed.length >= 2`)
	colours := eval[[]string](b, `window.printed`)
	if colours[0] != "#fdfcfa" || colours[len(colours)-1] != "#15171a" {
		data, _ := json.Marshal(colours)
		t.Errorf("the paper's colours were %s", data)
	}
	if *shots != "" {
		if err := os.WriteFile(filepath.Join(*shots, "print.pdf"), pdf, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b.quiet(1)
}

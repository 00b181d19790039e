package assertions

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
)

func TestHTTP(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/never":
			<-r.Context().Done()
		default:
			fmt.Fprint(w, "hello\ntotal 27 of them\n")
		}
	})
	plain, tls := httptest.NewServer(page), httptest.NewTLSServer(page)
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer plain.Close()
	defer tls.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := "http://" + closed.Addr().String()
	closed.Close()

	for _, c := range []struct {
		name, url, summary string // of the summary, the part before the time
		kind               HTTP
		holds              bool
	}{
		{"ok", plain.URL, "200", HTTP{Status: p(200), Time: "under 5s", Body: "^hello"}, true},
		{"wrong status", plain.URL, "200", HTTP{Status: p(502)}, false},
		{"too fast", plain.URL, "200", HTTP{Time: "over 5s"}, false},
		{"wrong body", plain.URL, "200", HTTP{Body: "bye"}, false},
		{"amount", plain.URL, "200", HTTP{Number: "total ([0-9]+)", Amount: "exactly 27"}, true},
		{"another amount", plain.URL, "200", HTTP{Number: "total ([0-9]+)", Amount: "over 27"}, false},
		{"no number", plain.URL, "200", HTTP{Number: "sum ([0-9]+)", Amount: "under 27"}, false},
		{"no such number", plain.URL, "200", HTTP{Number: "(of them)", Amount: "under 27"}, false},
		{"amount of nobody", refused, "connection refused", HTTP{Number: "total ([0-9]+)", Amount: "under 28"}, false},
		{"redirect", plain.URL + "/away", "302", HTTP{Status: p(302)}, true},
		{"refused", refused, "connection refused", HTTP{Status: p(200)}, false},
		{"refused is asserted", refused, "connection refused", HTTP{Status: p(0)}, true},
		{"refused is not fast", refused, "connection refused", HTTP{Time: "under 5s"}, false},
		{"timeout", plain.URL + "/never", timedOut, HTTP{Timeout: "50ms", Time: "over 40ms", Status: p(0)}, true},
		{"not trusted", tls.URL, "certificate not trusted", HTTP{TLSVerify: true, Status: p(0)}, true},
		{"snakeoil", tls.URL, "200", HTTP{Status: p(200)}, true},
		{"no TLS", strings.Replace(plain.URL, "http:", "https:", 1), "no TLS", HTTP{Status: p(0)}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := c.kind
			k.URL = lab.URL(c.url)
			if k.Timeout == "" {
				k.Timeout = "10s"
			}
			o := look(t, &k, labtest.NewWorld(nil))
			if !strings.HasPrefix(o.Summary, c.summary+" ") {
				t.Errorf("summary %q, want %q", o.Summary, c.summary)
			}
			if got := k.Holds([]lab.Observation{o}); got != c.holds {
				t.Errorf("holds %v: %+v", got, o)
			}
		})
	}
}

// Each look has a connection of its own, and says where its time went.
func TestHTTPTimings(t *testing.T) {
	remotes := map[string]bool{}
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		remotes[r.RemoteAddr] = true
	}))
	k := &HTTP{URL: lab.URL(s.URL), Status: p(200), Timeout: "10s"}
	w := labtest.NewWorld(nil)
	o := look(t, k, w)
	look(t, k, w)
	s.Close()
	if len(remotes) != 2 {
		t.Errorf("%d connections for 2 looks", len(remotes))
	}
	v := o.Values
	if v["connect_seconds"] <= 0 || v["tls_seconds"] <= 0 || v["first_byte_seconds"] < v["connect_seconds"]+v["tls_seconds"] || v["seconds"] < v["first_byte_seconds"] {
		t.Errorf("%v", v)
	}
}

func TestHTTPLatencyHolds(t *testing.T) {
	sample := func(seconds ...float64) (out []lab.Observation) {
		for _, s := range seconds {
			out = append(out, lab.Observation{Values: map[string]float64{"status": 200, "seconds": s}})
		}
		return out
	}
	lines := func(seconds, lines float64) lab.Observation {
		return lab.Observation{Values: map[string]float64{"status": 200, "seconds": seconds, "lines": lines}}
	}
	failed := lab.Observation{Values: map[string]float64{"status": 0, "seconds": 0.001}}
	waited := lab.Observation{Values: map[string]float64{"status": 0, "seconds": 60, "timeout": 1}}
	per := &PerLine{Time: "2.9s to 3.5s"}
	for _, c := range []struct {
		name    string
		kind    HTTPLatency
		history []lab.Observation
		holds   bool
	}{
		{"the incident", HTTPLatency{P95: "over 3s", P50: "under 1s"}, sample(18.419, 18.423, .002, .002, .002, 9.207, .002, 9.196), true},
		{"all must hold", HTTPLatency{P95: "over 3s", P50: "over 3s"}, sample(18.419, 18.423, .002, .002, .002, 9.207, .002, 9.196), false},
		{"median", HTTPLatency{P50: "exactly 2"}, sample(3, 1, 2, 4), true},
		{"95th of 20 leaves one out", HTTPLatency{P95: "under 1s"}, sample(9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), true},
		{"max does not", HTTPLatency{Max: "under 1s"}, sample(9, 0, 0, 0, 0, 0), false},
		{"too few", HTTPLatency{P50: "over 1s", MinSamples: 5}, sample(3, 3, 3, 3), false},
		{"enough", HTTPLatency{P50: "over 1s", MinSamples: 5}, sample(3, 3, 3, 3, 3), true},
		{"a failure is no sample", HTTPLatency{P50: "under 1s", MinSamples: 2}, []lab.Observation{failed, failed, sample(.1)[0]}, false},
		{"a timeout is one", HTTPLatency{Max: "over 59s", MinSamples: 1}, []lab.Observation{failed, waited}, true},
		{"explained", HTTPLatency{PerLine: per}, []lab.Observation{lines(18.45, 6), lines(.004, 0), lines(3.06, 1)}, true},
		{"no line yet", HTTPLatency{PerLine: per}, []lab.Observation{lines(.004, 0)}, false},
		{"slow without a line", HTTPLatency{PerLine: per}, []lab.Observation{lines(3.06, 1), lines(3, 0)}, false},
		{"slower than its lines", HTTPLatency{PerLine: per}, []lab.Observation{lines(9, 2)}, false},
		{"faster than its lines", HTTPLatency{PerLine: per}, []lab.Observation{lines(3, 2)}, false},
		{"one that came to a wait under way", HTTPLatency{PerLine: per}, []lab.Observation{lines(9.2, 3), lines(2.5, 1), lines(6.1, 2)}, true},
		{"most are faster than their lines", HTTPLatency{PerLine: per}, []lab.Observation{lines(3.1, 1), lines(2.5, 1), lines(1.4, 1)}, false},
		{"explained but not slow enough", HTTPLatency{PerLine: per, Max: "over 10s"}, []lab.Observation{lines(3.06, 1)}, false},
	} {
		if got := c.kind.Holds(c.history); got != c.holds {
			t.Errorf("%s: holds %v", c.name, got)
		}
	}
}

// behind is a place whose logs are late: what stands in them is written only once somebody has looked.
type behind struct {
	*labtest.World
	write func()
}

func (b *behind) Logs(ctx context.Context, account, container string, since time.Time) ([]lab.LogLine, error) {
	lines, err := b.World.Logs(ctx, account, container, since)
	if b.write != nil {
		b.write()
	}
	b.write = nil
	return lines, err
}

// A request's lines are found by its mark, and only once its last line is there.
func TestHTTPLatencyPerLine(t *testing.T) {
	at := &behind{World: stale(nil)}
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		log := func(text string) { at.Write("alice", "proxy", time.Now(), text) }
		log("connect() failed (113: No route to host), request: \"GET /?saigen=another\"")
		log(fmt.Sprintf("connect() failed (113: No route to host), request: %q", r.URL))
		at.write = func() {
			log(fmt.Sprintf("connect() failed (113: No route to host), request: %q", r.URL))
			log(fmt.Sprintf("10.89.0.12 \"GET %s HTTP/1.1\" 200 6", r.URL))
		}
	}))
	defer s.Close()
	k := &HTTPLatency{Stack: "stack.alice", URL: lab.URL(s.URL + "/?a=b"), Timeout: "10s", MinSamples: 1,
		PerLine: &PerLine{Service: "proxy", Match: `failed \(113`, Time: "2.9s to 3.5s", Done: `HTTP/1.1" 200`}}
	o := look(t, k, at)
	if o.Values["lines"] != 2 || len(o.Lines) != 2 || !strings.Contains(o.Summary, ", 2 lines, ") {
		t.Errorf("%+v", o)
	}
	if !strings.Contains(o.Lines[0], "a=b&saigen=") {
		t.Errorf("the mark replaced the query: %q", o.Lines[0])
	}
}

func TestHTTPLatencyLostLine(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	k := &HTTPLatency{Stack: "stack.alice", URL: lab.URL(s.URL), Timeout: "10s",
		PerLine: &PerLine{Service: "proxy", Match: "x", Time: "1s to 2s", Done: "never"}}
	cannotLook(t, k, stale(nil), "its last line (never) is not in the log of service \"proxy\" after 5s")
}

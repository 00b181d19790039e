package assertions

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"runtime"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
	"github.com/saigen-lab/saigen/labtest"
)

// hoard allocates so much at once that the runtime's sampling cannot miss it.
//
//go:noinline
func hoard(n int) [][]byte {
	var out [][]byte
	for range n {
		out = append(out, make([]byte, 8<<20))
	}
	return out
}

// The heap of this very test, as a Go program shows it.
func TestHeapProfile(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/heap", pprof.Handler("heap"))
	mux.Handle("/allocs", pprof.Handler("goroutine"))
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
	server := httptest.NewServer(mux)
	defer server.Close()

	look := func(h HeapProfile) (lab.Observation, error) {
		h.Timeout = "30s"
		if h.URL == "" {
			h.URL = lab.URL(server.URL + "/heap?debug=0")
		}
		return h.Observe(t.Context(), labtest.NewWorld(nil))
	}
	hoarded := HeapProfile{Function: `assertions\.hoard$`}
	before, err := look(hoarded)
	if err != nil || before.Values["bytes"] != 0 || before.Values["share"] != 0 {
		t.Errorf("%+v, %v", before, err)
	}
	held := hoard(8)
	o, err := look(hoarded)
	if err != nil {
		t.Fatal(err)
	}
	v := o.Values
	if math.Abs(v["bytes"]-64<<20) > 1<<20 || v["objects"] != 8 || v["share"] < 0.9 || v["share"] > 1 || v["total_bytes"] < v["bytes"] || v["total_objects"] < 8 {
		t.Errorf("%v", v)
	}
	if len(o.Lines) == 0 || !strings.HasSuffix(o.Lines[0], "/assertions.hoard") || !strings.Contains(o.Summary, " bytes in 8 objects, ") {
		t.Errorf("%q, %q", o.Summary, o.Lines)
	}
	for _, c := range []struct {
		kind HeapProfile
		want bool
	}{
		{HeapProfile{Bytes: "over 60MB"}, true},
		{HeapProfile{Bytes: "over 70MB"}, false},
		{HeapProfile{Objects: "exactly 8", Share: "over 0.9"}, true},
		{HeapProfile{Objects: "exactly 8", Share: "under 0.9"}, false},
	} {
		if got := c.kind.Holds([]lab.Observation{before, o}); got != c.want {
			t.Errorf("%+v: %v", c.kind, got)
		}
	}
	runtime.KeepAlive(held) // until here
	if o, err = look(hoarded); err != nil || o.Values["bytes"] != 0 {
		t.Errorf("what is not used any more counts: %v, %v", o.Values, err)
	}

	for path, want := range map[string]string{
		"/allocs": "it is a profile of something else", "/page": "cannot read the heap profile of ", "/none": "404 in ",
	} {
		if _, err := look(HeapProfile{URL: lab.URL(server.URL + path)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	server.Close()
	if _, err := look(hoarded); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("nobody answers: %v", err)
	}
}

func TestHeapProfileCheck(t *testing.T) {
	good := HeapProfile{Machine: "machine.m", Timeout: "1s", Function: "x", Share: "over 0.9"}
	for _, c := range []struct {
		change func(h *HeapProfile)
		want   string
	}{
		{func(*HeapProfile) {}, ""},
		{func(h *HeapProfile) { h.Share = "" }, ": nothing is asserted"},
		{func(h *HeapProfile) { h.Function = "" }, "share: the share of nothing"},
		{func(h *HeapProfile) { h.Share = "over 90" }, "share: not a part"},
		{func(h *HeapProfile) { h.Share = "at least 0" }, "share: every heap is in the limit; share: not a part"},
		{func(h *HeapProfile) { h.Bytes, h.Machine = "at least 0B", "" }, "bytes: every heap is in the limit; : one place is needed"},
	} {
		h := good
		c.change(&h)
		var got []string
		for _, p := range h.Check() {
			got = append(got, p.Attr+": "+p.Summary)
		}
		if s := strings.Join(got, "; "); s != c.want {
			t.Errorf("got %q, want %q", s, c.want)
		}
	}
}

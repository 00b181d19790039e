package assertions

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// bodyKept is how much of a body is looked at, in bytes; the rest is read and dropped.
const bodyKept = 1 << 20

// response is what one request met, on a connection of its own.
type response struct {
	status  int // 0: no whole response came
	body    []byte
	failure string        // why not; empty: it came
	took    time.Duration // until the body had been read, or until it failed
	phases  map[string]float64
}

// timedOut says whether the request was still waiting when its time was over.
func (r response) timedOut() bool { return r.failure == timedOut }

func (r response) String() string {
	if r.failure != "" {
		return fmt.Sprintf("%s after %.3f s", r.failure, r.took.Seconds())
	}
	return fmt.Sprintf("%d in %.3f s", r.status, r.took.Seconds())
}

// values are those of an observation: status, seconds, and how the time went.
func (r response) values() map[string]float64 {
	v := map[string]float64{"status": float64(r.status), "seconds": r.took.Seconds(), "timeout": truth(r.timedOut())}
	for k, s := range r.phases {
		v[k] = s
	}
	return v
}

// get makes one request on a fresh connection and follows no redirect. A failure that a user of the stack would have
// met is a response; an error means that the request could not be made, or that ctx ended.
func get(ctx context.Context, url string, tlsVerify bool, timeout time.Duration) (response, error) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	t := newTrace()
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(limited, t.hooks()), http.MethodGet, url, nil)
	if err != nil {
		return response{}, err
	}
	req.Header.Set("User-Agent", "saigen")
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: !tlsVerify},
	}
	defer transport.CloseIdleConnections()

	var r response
	resp, err := transport.RoundTrip(req)
	if err == nil {
		r.body, err = readBody(resp)
	}
	r.took, r.phases = time.Since(t.start), t.done()
	if err == nil {
		r.status = resp.StatusCode
		return r, nil
	}
	if ctx.Err() != nil {
		return response{}, ctx.Err()
	}
	if r.failure = failureClass(err); r.failure == "" {
		return response{}, fmt.Errorf("cannot request %s: %w", url, err)
	}
	return r, nil
}

func readBody(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, bodyKept))
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return body, err
}

// trace measures the parts of one request, in seconds. Several addresses are dialled at once, and a dial may go on when
// the request is already over, so its hooks come from several goroutines.
type trace struct {
	mu              sync.Mutex
	start, dns, tls time.Time
	connect         map[string]time.Time
	phases          map[string]float64
}

func newTrace() *trace {
	return &trace{start: time.Now(), connect: map[string]time.Time{}, phases: map[string]float64{}}
}

// done returns what has been measured so far.
func (t *trace) done() map[string]float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.phases)
}

func (t *trace) hooks() *httptrace.ClientTrace {
	locked := func(f func(now time.Time)) {
		now := time.Now()
		t.mu.Lock()
		defer t.mu.Unlock()
		f(now)
	}
	set := func(name string, from, now time.Time) { t.phases[name] = now.Sub(from).Seconds() }
	return &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) { locked(func(now time.Time) { t.dns = now }) },
		DNSDone: func(httptrace.DNSDoneInfo) {
			locked(func(now time.Time) { set("dns_seconds", t.dns, now) })
		},
		ConnectStart: func(_, addr string) { locked(func(now time.Time) { t.connect[addr] = now }) },
		ConnectDone: func(_, addr string, err error) {
			locked(func(now time.Time) {
				if err == nil {
					set("connect_seconds", t.connect[addr], now)
				}
			})
		},
		TLSHandshakeStart: func() { locked(func(now time.Time) { t.tls = now }) },
		TLSHandshakeDone: func(tls.ConnectionState, error) {
			locked(func(now time.Time) { set("tls_seconds", t.tls, now) })
		},
		GotFirstResponseByte: func() {
			locked(func(now time.Time) { set("first_byte_seconds", t.start, now) })
		},
	}
}

// checkTimeout complains about a limit in which nothing can be looked at.
func checkTimeout(d lab.Duration) []lab.Problem {
	if d.Check() == nil && d.Value() > 0 {
		return nil
	}
	return []lab.Problem{{Attr: "timeout", Summary: "no time to look",
		Detail: fmt.Sprintf("%q leaves no time for a look. Write a duration above 0 with its unit, such as \"10s\".", string(d))}}
}

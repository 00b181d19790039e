package guest

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/saigen-lab/saigen/lab"
)

// pretends is a host's connection to something that greets as the agent does, and then does what it likes.
func pretends(t *testing.T, likes func(l *link)) *Client {
	t.Helper()
	host, machine := net.Pipe()
	go func() {
		defer machine.Close()
		l := newLink(machine)
		p, err := l.hear()
		if err != nil || l.say(Build(), p.nonce) != nil {
			return
		}
		likes(l)
	}()
	c, err := Connect(t.Context(), host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(); _ = machine.Close() })
	return c
}

// TestHostileAgentFrames: what is no agent's ends the conversation at once, also in the middle of what is.
func TestHostileAgentFrames(t *testing.T) {
	frame := func(kind byte, flags uint16, stream, length uint32) []byte {
		b := []byte{0, kind}
		b = binary.BigEndian.AppendUint16(b, flags)
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, stream), length)
	}
	for name, says := range map[string][]byte{
		"echo":             frame(muxPing, muxSYN, 0, 7),
		"an echo's answer": frame(muxPing, 2, 0, 7),
		"a stream":         frame(1, muxSYN, 2, 0),
		"data of one":      append(frame(muxData, muxSYN, 2, 4), "data"...),
		"after another":    append(append(frame(muxData, 0, 9, 3), "abc"...), frame(muxPing, muxSYN, 0, 7)...),
		"no frame":         []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
	} {
		c := pretends(t, func(l *link) {
			for i := range says { // byte by byte
				if _, err := l.write(says[i : i+1]); err != nil {
					return
				}
			}
			_, _ = io.Copy(io.Discard, l.rw)
		})
		select {
		case <-c.Lost():
		case <-time.After(5 * time.Second):
			t.Errorf("%s: the conversation goes on", name)
		}
		if _, err := c.Hello(t.Context()); err == nil {
			t.Errorf("%s: it is believed", name)
		}
	}
}

// TestHostileAgentStreams: an agent that answers without end is bounded, and one that never answers is waited for only as long as
// the caller likes.
func TestHostileAgentStreams(t *testing.T) {
	chunk := strings.Repeat("x", chunk)
	observation, err := json.Marshal(lab.Observation{At: time.Now(), Summary: "fine"})
	if err != nil {
		t.Fatal(err)
	}
	answers := func(endless func(w *frameWriter) error) *Client {
		return pretends(t, func(l *link) {
			mux, err := yamux.Server(&conversation{l: l, end: l.rw.Close}, muxConfig())
			if err != nil {
				return
			}
			for {
				s, err := mux.AcceptStream()
				if err != nil {
					return
				}
				go func() {
					for w := newFrameWriter(s); endless(w) == nil; {
					}
				}()
			}
		})
	}
	for name, kind := range map[string]byte{"stdout": frameStdout, "stderr": frameStderr} {
		c := answers(func(w *frameWriter) error { return w.write(kind, []byte(chunk)) })
		r, err := c.Run(t.Context(), lab.Command{Argv: []string{"true"}})
		if err == nil || !strings.Contains(err.Error(), "it is more than 64 MiB") || len(r.Stdout)+len(r.Stderr) > mostOutput {
			t.Errorf("%s: %d and %d bytes, %v", name, len(r.Stdout), len(r.Stderr), err)
		}
	}
	c := answers(func(w *frameWriter) error { return w.write(frameObservation, observation) })
	seen := 0
	err = c.Watch(t.Context(), lab.Probe{Address: "symptom.x", Every: time.Second}, func(lab.Observation) { seen++ })
	if !errors.Is(err, errNoAgent) || seen > 2*paceSlack {
		t.Errorf("%d observations, %v", seen, err)
	}
	never := answers(func(*frameWriter) error { select {} })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := never.Hello(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an agent that never answers: %v", err)
	}
}

// TestPace: an agent that is late, or early, is one; and a watch of an hour may say something every second.
func TestPace(t *testing.T) {
	began := time.Now()
	p := pace{began: began, every: time.Second}
	for i := range 3600 {
		if err := p.take(began.Add(time.Duration(i)*time.Second), 2000); err != nil {
			t.Fatal(i, err)
		}
	}
	p = pace{began: began, every: 200 * time.Millisecond}
	for range 90 { // held up, and then all at once
		if err := p.take(began.Add(18*time.Second), 1000); err != nil {
			t.Fatal(err)
		}
	}
	p = pace{began: began, every: time.Second}
	for i := 0; ; i++ {
		if err := p.take(began.Add(time.Duration(i)*time.Second), 1<<20); err != nil {
			if i != 64 {
				t.Errorf("after %d: %v", i, err)
			}
			break
		}
	}
}

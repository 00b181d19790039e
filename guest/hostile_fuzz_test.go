package guest

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// said is a stream on which a machine has said all that it will ever say.
type said struct{ io.Reader }

func (said) Write(p []byte) (int, error) { return len(p), nil }
func (said) Close() error                { return nil }

// FuzzAgentSays: the machine is hostile, and answers what it likes. The host does not panic, its waits end with the stream, and it
// takes nothing for output or an observation that was not sent as such.
func FuzzAgentSays(f *testing.F) {
	frame := func(kind byte, payload string) string {
		var b bytes.Buffer
		if err := newFrameWriter(&b).write(kind, []byte(payload)); err != nil {
			f.Fatal(err)
		}
		return b.String()
	}
	for _, s := range []string{
		"", frame(frameDone, `{"version":"x","boot":"2026-01-01T00:00:00Z","now":"2026-01-01T00:00:01Z"}`), frame(frameDone, `null`), frame(frameDone, `[`),
		frame(frameStdout, "out") + frame(frameStderr, "err") + frame(frameDone, `{"code":3,"signal":"SIGKILL","took":5}`),
		frame(frameCredit, `-9223372036854775808`) + frame(frameCredit, `9223372036854775807`) + frame(frameCredit, `9223372036854775807`) + frame(frameDone, `{}`),
		frame(frameObservation, `{"at":"2026-01-01T00:00:00Z","holds":true,"values":{"a":1e308}}`) + frame(frameObservation, `null`), frame(frameObservation, `{"at":7}`),
		frame(frameError, `{"what":"it failed","hint":"h","tail":"t","err":"e"}`), frame(frameError, `7`), frame(0, "") + "o\xff\xff\xff\xff",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		hears := func() *stream { return newStream(ctx, said{bytes.NewReader(in)}) }
		var hello helloAnswer
		_ = hears().answer(&hello)
		r, err := hears().run(ctx, lab.Command{Argv: []string{"x"}, Stdin: strings.NewReader("stdin")})
		if len(r.Stdout)+len(r.Stderr) > len(in) {
			t.Errorf("of %d bytes %d are output", len(in), len(r.Stdout)+len(r.Stderr))
		}
		if err == nil && !bytes.Contains(in, []byte{frameDone}) {
			t.Error("a command has ended that nobody said had")
		}
		seen := 0
		if err := hears().observations(pace{began: time.Now(), every: time.Second}, func(lab.Observation) { seen++ }); err == nil || seen > bytes.Count(in, []byte{frameObservation}) {
			t.Errorf("%d observations, %v", seen, err)
		}
	})
}

// FuzzHostSays: whatever follows the request for a command, the agent does not panic, and is done with the stream when the host has
// hung up; nothing runs then that it has started.
func FuzzHostSays(f *testing.F) {
	for _, s := range []string{
		"", "i\x00\x00\x00\x02hi", "i\x00\x00\x00\x02hie\x00\x00\x00\x00", "k\x00\x00\x00\x00", "e\x00\x00\x00\x00e\x00\x00\x00\x00i\x00\x00\x00\x01x",
		"r\x00\x00\x00\x07[24,80]", "r\x00\x00\x00\x01x", "q\x00\x00\x00\x02{}", "i\xff\xff\xff\xff", "\x00\x00\x00\x00\x00",
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, in []byte, terminal bool) {
		cmd := lab.Command{Argv: []string{"/bin/cat"}, Dir: "/", Stdin: strings.NewReader("")} // the command itself is never the fuzzer's
		if terminal {
			cmd.TTY = &lab.TTY{Term: "dumb", Rows: 1, Cols: 1}
		}
		host, machine := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			newAgent(nil, quiet()).stream(t.Context(), machine)
		}()
		go func() { _, _ = io.Copy(io.Discard, host) }()
		if err := newFrameWriter(host).writeJSON(frameRequest, runRequestOf(cmd)); err != nil {
			t.Fatal(err)
		}
		_, _ = host.Write(in)
		_ = host.Close()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Errorf("after %q the agent is not done with the stream", in)
		}
	})
}

package guest

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// half is one direction of a pipe: what was written is read, in pieces of a given size, and then the end.
type half struct {
	bytes.Buffer
	piece int
}

func (h *half) Read(p []byte) (int, error) {
	if h.piece > 0 && len(p) > h.piece {
		p = p[:h.piece]
	}
	return h.Buffer.Read(p)
}

func (h *half) Close() error { return nil }

// FuzzLink: whatever was said before on a pipe and wherever it was cut off, the greeting is heard, it is the last one, and
// what follows comes through as it was; to the session before comes a beginning of what was sent in it, and nothing else.
func FuzzLink(f *testing.F) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	marked := string([]byte{escape, mark})
	for _, s := range []string{
		"", "plain", string(all), string([]byte{escape}), string([]byte{escape, escape, mark}), marked + "saigen-guest 2 b n\n",
		marked + "saigen-guest", strings.Repeat(string([]byte{escape}), 300), marked + strings.Repeat("x", 400) + "\n",
	} {
		for _, cut := range []uint16{0, 1, 2, 3, 400} {
			f.Add([]byte(s), []byte(s), cut, uint8(0))
			f.Add([]byte(s), []byte("old"), cut, uint8(1))
			f.Add([]byte("old"), []byte(s), cut, uint8(3))
		}
	}
	f.Fuzz(func(t *testing.T, old, fresh []byte, cut uint16, piece uint8) {
		pipe := &half{piece: int(piece)}
		w := newLink(pipe)
		if err := w.say("build", "OLD"); err != nil {
			t.Fatal(err)
		}
		begun := pipe.Len()
		if _, err := w.write(old); err != nil {
			t.Fatal(err)
		}
		pipe.Truncate(max(0, pipe.Len()-int(cut)))
		whole := pipe.Len() >= begun
		if err := w.say("build", "NEW"); err != nil {
			t.Fatal(err)
		}
		for part := fresh; len(part) > 0; { // in parts, as a multiplexer writes
			n := min(len(part), 7)
			if _, err := w.write(part[:n]); err != nil {
				t.Fatal(err)
			}
			part = part[n:]
		}

		r := newLink(pipe)
		p, err := r.hear()
		if err != nil {
			t.Fatal(err)
		}
		if whole {
			if p.nonce != "OLD" {
				t.Fatalf("heard %+v first", p)
			}
			got, err := io.ReadAll(&conversation{l: r})
			if err != nil || !bytes.HasPrefix(old, got) {
				t.Fatalf("of %q came %q, %v", old, got, err)
			}
			if len(got) < len(old)-int(cut) {
				t.Fatalf("of %q came only %q", old, got)
			}
			if p, err = r.hear(); err != nil {
				t.Fatal(err)
			}
		}
		if p != (peer{wireVersion, "build", "NEW"}) {
			t.Fatalf("heard %+v", p)
		}
		got, err := io.ReadAll(&conversation{l: r})
		if err != nil || !bytes.Equal(got, fresh) {
			t.Fatalf("sent %q, got %q, %v", fresh, got, err)
		}
	})
}

// FuzzHear: whatever comes, a greeting that follows it is heard, and nothing that came is taken for it.
func FuzzHear(f *testing.F) {
	for _, s := range []string{"", "SSH-2.0\r\n", string([]byte{escape, 'x', escape}), string([]byte{escape, mark, escape, literal, '\n'})} {
		f.Add([]byte(s), uint8(1))
	}
	f.Fuzz(func(t *testing.T, junk []byte, piece uint8) {
		const nonce = "WHICHNOBODYGUESSES"
		if bytes.Contains(junk, []byte(nonce)) {
			t.Skip()
		}
		pipe := &half{piece: int(piece)}
		pipe.Write(junk)
		w := newLink(pipe)
		if err := w.say("build", nonce); err != nil {
			t.Fatal(err)
		}
		if _, err := w.write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		r := newLink(pipe)
		for {
			p, err := r.hear()
			if err != nil {
				t.Fatalf("after %q: %v", junk, err)
			}
			if p.nonce == nonce {
				break
			}
		}
		if got, err := io.ReadAll(&conversation{l: r}); err != nil || string(got) != "hello" {
			t.Fatalf("got %q, %v", got, err)
		}
	})
}

func TestGarbled(t *testing.T) {
	pipe := &half{}
	pipe.WriteString("good" + string([]byte{escape}) + "?more")
	got, err := io.ReadAll(&conversation{l: newLink(pipe)})
	if string(got) != "good" || !errors.Is(err, errGarbled) {
		t.Errorf("got %q, %v", got, err)
	}
}

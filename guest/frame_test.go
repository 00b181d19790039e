package guest

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestFramesRoundTrip(t *testing.T) {
	var b bytes.Buffer
	w := newFrameWriter(&b)
	sent := []string{"", "x", strings.Repeat("y", chunk), strings.Repeat("z", maxFrame)}
	for _, s := range sent {
		if err := w.write(frameStdout, []byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.write(frameStdout, make([]byte, maxFrame+1)); !errors.Is(err, errFrameTooBig) {
		t.Errorf("got %v for a frame that is too big", err)
	}
	r := newFrameReader(&b)
	for i, s := range sent {
		kind, payload, err := r.next()
		if err != nil || kind != frameStdout || string(payload) != s {
			t.Errorf("frame %d: got type %q, %d bytes, %v", i, kind, len(payload), err)
		}
	}
	if _, _, err := r.next(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v at the end", err)
	}
}

func TestFramesCutShort(t *testing.T) {
	for _, test := range []struct {
		in   string
		want error
	}{
		{"", io.EOF},
		{"o", io.ErrUnexpectedEOF},
		{"o\x00\x00\x00\x02", io.ErrUnexpectedEOF},
		{"o\x00\x00\x00\x02a", io.ErrUnexpectedEOF},
		{"o\x00\x10\x00\x01a", errFrameTooBig},
		{"o\xff\xff\xff\xffa", errFrameTooBig},
	} {
		if _, _, err := newFrameReader(strings.NewReader(test.in)).next(); !errors.Is(err, test.want) {
			t.Errorf("%q: got %v, want %v", test.in, err, test.want)
		}
	}
}

// FuzzFrames reads whatever comes: nothing panics, no frame is larger than allowed, and what was read is what was there.
func FuzzFrames(f *testing.F) {
	for _, s := range []string{
		"", "q\x00\x00\x00\x02{}", "o\x00\x00\x00\x03abcd\x00\x00\x00\x00", "q\x7f\xff\xff\xff", "q\x00\x00\x00\x05{\"op",
		"q\x00\x00\x00\x0e{\"op\":\"hello\"}k\x00\x00\x00\x00",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var again bytes.Buffer
		w := newFrameWriter(&again)
		r := newFrameReader(bytes.NewReader(in))
		for {
			kind, payload, err := r.next()
			if err != nil {
				break
			}
			if len(payload) > maxFrame {
				t.Fatalf("frame of %d bytes", len(payload))
			}
			if err := w.write(kind, payload); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.HasPrefix(in, again.Bytes()) {
			t.Errorf("%q was read as %q", in, again.Bytes())
		}
		_, _ = newFrameReader(bytes.NewReader(in)).request()
	})
}

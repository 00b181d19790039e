package runner

import (
	"bytes"
	"fmt"
	"testing"
)

// Of a log without end the newest is kept, in bounded memory.
func TestNewest(t *testing.T) {
	var n newest
	line := bytes.Repeat([]byte("x"), 1<<20-1)
	const lines = 200
	for i := range lines {
		if _, err := n.Write(append(line[:len(line):len(line)], byte('a'+i%26))); err != nil {
			t.Fatal(err)
		}
		if len(n.kept) > 2*mostLog+1<<20 {
			t.Fatalf("%d bytes are kept", len(n.kept))
		}
	}
	got := n.text()
	head := fmt.Sprintf("(%d earlier bytes left out)\n", lines<<20-mostLog)
	if !bytes.HasPrefix(got, []byte(head)) || len(got) != len(head)+mostLog || got[len(got)-1] != byte('a'+(lines-1)%26) {
		t.Errorf("%d bytes are kept, beginning with %q", len(got), got[:60])
	}
	var small newest
	_, _ = small.Write([]byte("one line\n"))
	if got := small.text(); string(got) != "one line\n" {
		t.Errorf("%q", got)
	}
}

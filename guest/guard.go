package guest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// A machine may run anything, its agent's socket included, so what answers there need not be the agent. What it can do to the host is bounded
// here: the conversation and the streams in it end when they say what no agent says.

var errNoAgent = errors.New("what answers is no agent of saigen's")

// guard reads the multiplexer's frames as they pass. An agent opens no stream and asks for no echo; to answer either costs
// the host memory, for as long as the other end does not read.
//
// The frames are those of https://github.com/hashicorp/yamux/blob/master/spec.md.
type guard struct {
	io.ReadWriteCloser
	head []byte // of a frame, as far as it has come
	body uint32 // bytes that are left of the frame
}

const (
	muxHead = 12 // bytes of version, type, flags, stream and length
	muxData = 0
	muxPing = 2
	muxSYN  = 1 // flag: it opens a stream
)

func (g *guard) Read(p []byte) (int, error) {
	n, err := g.ReadWriteCloser.Read(p)
	if wrong := g.look(p[:n]); wrong != nil {
		return 0, wrong
	}
	return n, err
}

func (g *guard) look(p []byte) error {
	for len(p) > 0 {
		if g.body > 0 {
			n := min(int64(g.body), int64(len(p)))
			p, g.body = p[n:], g.body-uint32(n)
			continue
		}
		n := min(muxHead-len(g.head), len(p))
		g.head = append(g.head, p[:n]...)
		if p = p[n:]; len(g.head) < muxHead {
			return nil
		}
		kind, flags := g.head[1], binary.BigEndian.Uint16(g.head[2:])
		switch {
		case kind == muxPing:
			return fmt.Errorf("%w: it asks for an echo", errNoAgent)
		case flags&muxSYN != 0:
			return fmt.Errorf("%w: it opens a stream", errNoAgent)
		case kind == muxData:
			g.body = binary.BigEndian.Uint32(g.head[8:])
		}
		g.head = g.head[:0]
	}
	return nil
}

// mostOutput is how much of what a command prints is kept for who does not read it as it comes, in bytes of each stream.
const mostOutput = 64 << 20

// kept keeps what a command prints.
type kept struct {
	bytes.Buffer
	full bool
}

func (k *kept) Write(p []byte) (int, error) {
	if k.Len()+len(p) > mostOutput {
		k.full = true
		return 0, fmt.Errorf("it is more than %d MiB", mostOutput>>20)
	}
	return k.Buffer.Write(p)
}

// pace bounds the observations of one watch: a look begins every so often, and never before the one before has ended.
type pace struct {
	began time.Time
	every time.Duration
	seen  int
	bytes int64
}

const (
	paceSlack = 100      // observations: the two clocks need not go alike, and what was held up comes together
	mostSeen  = 64 << 20 // bytes of one watch's observations
)

// take says whether another observation of that size may be one of an agent's.
func (p *pace) take(now time.Time, size int) error {
	p.seen++
	p.bytes += int64(size)
	switch due := 2*now.Sub(p.began)/max(p.every, time.Millisecond) + paceSlack; {
	case time.Duration(p.seen) > due:
		return fmt.Errorf("%w: it looks every %s and sends %d observations in %s", errNoAgent, p.every, p.seen, now.Sub(p.began).Round(time.Millisecond))
	case p.bytes > mostSeen:
		return fmt.Errorf("its observations are more than %d MiB", mostSeen>>20)
	}
	return nil
}

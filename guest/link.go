package guest

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// A pipe between a host and an agent may outlive what is said over it: a virtio-serial port is one stream of bytes from
// the machine's boot to its end, whoever holds its other end. A host may go in the middle of a word and the next one come
// before the agent was told; a machine that is restored from its memory goes on speaking with a host that is long gone;
// and in the queues between the two are bytes that nobody wants any more.
//
// So one byte value never occurs in what a session sends: where it would, it is followed by literal. Followed by mark
// it says that all before it is over, wherever that was cut off, and that a line follows:
//
//	saigen-guest VERSION BUILD NONCE
//
// A host begins with such a line, whose nonce it has just drawn. The agent ends the session that it may still believe
// in, and answers with a line of its own and the same nonce. The host drops everything up to that answer. Both
// directions are queues, and the agent has stopped all that wrote for the old session before it answers, so what
// comes after the answer is of the new session and of nothing else. An agent that comes up, or gives up a session for its own
// reasons, says so by a line without a host's nonce.
const (
	escape  = 0xC1 // in no UTF-8 text
	literal = 'e'
	mark    = 'm'
)

const (
	greeting    = "saigen-guest"
	wireVersion = "2"
	maxGreeting = 256
	noNonce     = "-" // of a line that answers nobody
)

// errGarbled means that bytes were lost within a session.
var errGarbled = errors.New("the stream is garbled")

// link is one end of a pipe. Reading is for one goroutine at a time, and so is writing.
type link struct {
	rw      io.ReadWriteCloser
	buf     []byte // what in is a part of
	in      []byte // read, and not yet looked at
	out     []byte
	escaped bool // the byte before in was escape
	marked  bool // before in was a mark: in begins with a line
	skipped []byte
}

func newLink(rw io.ReadWriteCloser) *link { return &link{rw: rw, buf: make([]byte, chunk)} }

// fill reads more into in, which is empty.
func (l *link) fill() error {
	for {
		n, err := l.rw.Read(l.buf)
		l.in = l.buf[:n]
		if n > 0 {
			return nil
		}
		if err != nil {
			l.escaped, l.marked = false, false
			return err
		}
	}
}

// read returns bytes of the session; io.EOF at a mark, or when the pipe has ended.
func (l *link) read(p []byte) (int, error) {
	for {
		if n, err := l.decode(p); n > 0 || err != nil {
			return n, err
		}
		if l.marked {
			return 0, io.EOF
		}
		if err := l.fill(); err != nil {
			return 0, err
		}
	}
}

// decode takes from in what p holds, up to a mark.
func (l *link) decode(p []byte) (n int, err error) {
	for n < len(p) && len(l.in) > 0 && !l.marked {
		if l.escaped {
			b := l.in[0]
			l.in = l.in[1:]
			l.escaped = b == escape // the one before it lost its second half
			switch b {
			case literal:
				p[n] = escape
				n++
			case mark:
				l.marked = true
			case escape:
			default:
				return n, errGarbled
			}
			continue
		}
		plain := l.in
		if i := bytes.IndexByte(plain, escape); i >= 0 {
			plain = plain[:i]
		}
		c := copy(p[n:], plain)
		n += c
		if l.in = l.in[c:]; c == len(plain) && len(l.in) > 0 {
			l.in, l.escaped = l.in[1:], true
		}
	}
	return n, nil
}

// hear drops everything up to the next mark, and returns the line that follows it.
func (l *link) hear() (peer, error) {
	var drop [512]byte
	for {
		for !l.marked {
			n, err := l.decode(drop[:])
			l.skip(drop[:n])
			if err == nil && n == 0 && !l.marked {
				if err := l.fill(); err != nil {
					return peer{}, err
				}
			}
		}
		p, ok, err := l.line()
		if ok || err != nil {
			return p, err
		}
	}
}

// skip remembers how what was dropped began, for a message.
func (l *link) skip(p []byte) {
	l.skipped = append(l.skipped, p[:min(len(p), 80-len(l.skipped))]...)
}

// line reads what follows a mark; not ok when that is no greeting, or was cut off by the next.
func (l *link) line() (p peer, ok bool, err error) {
	l.marked = false
	var line []byte
	for len(line) < maxGreeting {
		if len(l.in) == 0 {
			if err := l.fill(); err != nil {
				return p, false, err
			}
		}
		b := l.in[0]
		l.in = l.in[1:]
		switch b {
		case escape:
			l.escaped = true
			return p, false, nil
		case '\n':
			words := bytes.Fields(line)
			if len(words) < 3 || string(words[0]) != greeting {
				return p, false, nil
			}
			p = peer{version: string(words[1]), build: string(words[2])}
			if len(words) > 3 {
				p.nonce = string(words[3])
			}
			return p, true, nil
		}
		line = append(line, b)
	}
	return p, false, nil
}

// say writes a mark and a line.
func (l *link) say(build, nonce string) error {
	_, err := l.rw.Write([]byte(string([]byte{escape, mark}) + greeting + " " + wireVersion + " " + build + " " + nonce + "\n"))
	return err
}

// write sends bytes of a session.
func (l *link) write(p []byte) (int, error) {
	if bytes.IndexByte(p, escape) < 0 {
		return l.rw.Write(p)
	}
	l.out = l.out[:0]
	for rest := p; ; {
		i := bytes.IndexByte(rest, escape)
		if i < 0 {
			l.out = append(l.out, rest...)
			break
		}
		l.out = append(append(l.out, rest[:i]...), escape, literal)
		rest = rest[i+1:]
	}
	if _, err := l.rw.Write(l.out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// interrupt ends reads and writes that are under way; resume allows them again. A pipe that cannot is closed.
func (l *link) interrupt() error {
	d, ok := l.rw.(interface{ SetDeadline(time.Time) error })
	if ok && d.SetDeadline(time.Unix(1, 0)) == nil {
		return nil
	}
	return l.rw.Close()
}

func (l *link) resume() {
	if d, ok := l.rw.(interface{ SetDeadline(time.Time) error }); ok {
		_ = d.SetDeadline(time.Time{})
	}
}

// peer is what the other end says about itself.
type peer struct{ version, build, nonce string }

// meet greets the agent until it answers. l is the host's end.
func (l *link) meet(build string) error {
	var mu sync.Mutex
	var nonce string
	var met bool
	greet := func() error {
		mu.Lock()
		defer mu.Unlock()
		if met {
			return nil // another greeting would end the session that has begun
		}
		nonce = rand.Text()
		return l.say(build, nonce)
	}
	said := greet() // who does not hear us may have told why
	// What we said is lost where an agent ended that had not answered it. Only the answer to our last word counts. That we
	// wait longer each time lets also the slowest agent answer in time.
	over := make(chan struct{})
	defer close(over)
	go func() {
		wait := time.NewTimer(greetAgain)
		defer wait.Stop()
		for next := 2 * greetAgain; ; next *= 2 {
			select {
			case <-over:
				return
			case <-wait.C:
			}
			if greet() != nil {
				return
			}
			wait.Reset(next)
		}
	}()
	for {
		p, err := l.hear()
		if errors.Is(err, io.EOF) && len(l.skipped) > 0 {
			return fmt.Errorf("the peer does not speak saigen's protocol: it began with %q", l.skipped)
		}
		if err != nil {
			return cmp.Or(said, err)
		}
		mu.Lock()
		met = p.nonce == nonce
		mu.Unlock()
		if met {
			return p.check(build)
		}
	}
}

// greetAgain is how long a host waits before it greets again; each time it waits twice as long.
const greetAgain = time.Second

// check returns errOtherBuild when host and agent are not the same program.
func (p peer) check(build string) error {
	if p.version != wireVersion || p.build != build {
		return fmt.Errorf("%w: protocol %s build %s here, protocol %s build %s there", errOtherBuild, wireVersion, build, p.version, p.build)
	}
	return nil
}

// conversation is a link from one greeting to the next: what the multiplexer speaks over.
type conversation struct {
	l    *link
	end  func() error
	once sync.Once
}

func (c *conversation) Read(p []byte) (int, error)  { return c.l.read(p) }
func (c *conversation) Write(p []byte) (int, error) { return c.l.write(p) }

// Close ends what is under way. Only the first call does something: by a later one the link may carry the next.
func (c *conversation) Close() (err error) {
	c.once.Do(func() { err = c.end() })
	return err
}

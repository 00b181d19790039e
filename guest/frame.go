package guest

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// A stream carries frames: one byte of type, four bytes of length (big endian), the payload. The first frame of every
// stream is a request; what follows depends on its operation.
const (
	frameRequest     = 'q' // JSON request; host to agent
	frameData        = 'i' // bytes for stdin, or of a file
	frameDataEnd     = 'e' // no more of them
	frameResize      = 'r' // JSON [rows, columns]
	frameKill        = 'k' // kill the command and what it started, then answer with its end
	frameStdout      = 'o'
	frameStderr      = 'x'
	frameCredit      = 'c' // JSON number: so many more bytes of stdin may be sent
	frameObservation = 'b' // JSON lab.Observation
	frameDone        = 'd' // JSON answer of the operation; the last frame of a stream that went well
	frameError       = 'f' // JSON failure; the last frame of a stream that did not
)

const (
	// maxFrame bounds what a peer can make us allocate. Headers and observations must fit into one frame.
	maxFrame = 1 << 20
	// chunk is how much data is put into one frame.
	chunk = 32 << 10
)

var errFrameTooBig = errors.New("frame is larger than 1 MiB")

// frameReader reads frames from one stream. It is not safe for concurrent use.
type frameReader struct {
	r   *bufio.Reader
	buf []byte
}

func newFrameReader(r io.Reader) *frameReader {
	return &frameReader{r: bufio.NewReader(r)} // what is larger than its buffer goes past it
}

// next returns the next frame. The payload is valid until the following call. At the end of the stream the error is
// io.EOF between frames and io.ErrUnexpectedEOF within one.
func (f *frameReader) next() (kind byte, payload []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if size > maxFrame {
		return 0, nil, errFrameTooBig
	}
	if int(size) > cap(f.buf) {
		f.buf = make([]byte, size)
	}
	payload = f.buf[:size]
	if _, err := io.ReadFull(f.r, payload); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return head[0], payload, nil
}

// request reads the frame that every stream begins with.
func (f *frameReader) request() (request, error) {
	var q request
	kind, payload, err := f.next()
	if err != nil {
		return q, err
	}
	if kind != frameRequest {
		return q, fmt.Errorf("stream begins with a frame of type %q instead of a request", kind)
	}
	if err := json.Unmarshal(payload, &q); err != nil {
		return q, fmt.Errorf("cannot read request: %w", err)
	}
	return q, nil
}

// frameWriter writes frames to one stream, whole ones also when several goroutines write.
type frameWriter struct {
	mu  sync.Mutex
	w   io.Writer
	buf []byte
}

func newFrameWriter(w io.Writer) *frameWriter { return &frameWriter{w: w} }

// write sends one frame. Head and payload go out in one Write: a frame is one message to the multiplexer below.
func (f *frameWriter) write(kind byte, payload []byte) error {
	if len(payload) > maxFrame {
		return errFrameTooBig
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.buf = append(f.buf[:0], kind, 0, 0, 0, 0)
	binary.BigEndian.PutUint32(f.buf[1:], uint32(len(payload)))
	f.buf = append(f.buf, payload...)
	_, err := f.w.Write(f.buf)
	return err
}

// writeJSON sends one frame with a JSON payload.
func (f *frameWriter) writeJSON(kind byte, v any) error {
	payload, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return f.write(kind, payload)
}

// data is an io.Writer whose bytes become frames of one type.
type dataWriter struct {
	f    *frameWriter
	kind byte
}

func (d dataWriter) Write(p []byte) (int, error) {
	n := 0
	for len(p) > 0 {
		part := p[:min(len(p), chunk)]
		if err := d.f.write(d.kind, part); err != nil {
			return n, err
		}
		n += len(part)
		p = p[len(part):]
	}
	return n, nil
}

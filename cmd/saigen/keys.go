package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// keys reads a terminal until it is told to stop, so that what is typed afterwards is read by whoever comes next: a read of a
// terminal cannot be taken back.
type keys struct {
	in   *os.File
	stop *os.File // readable: stop
}

// Read implements io.Reader. When it has been told to stop there is nothing more to read.
func (k keys) Read(p []byte) (int, error) {
	fds := []unix.PollFd{{Fd: int32(k.in.Fd()), Events: unix.POLLIN}, {Fd: int32(k.stop.Fd()), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, -1)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, fmt.Errorf("cannot wait for the terminal: %v", err)
		case fds[1].Revents != 0:
			return 0, io.EOF
		default:
			return k.in.Read(p)
		}
	}
}

// line reads until the end of a line. Without an error there was one.
func (k keys) line() error {
	buf := make([]byte, 256) // a terminal hands out one line at a time
	for {
		n, err := k.Read(buf)
		if err != nil {
			return err
		}
		if n > 0 && (buf[n-1] == '\n' || buf[n-1] == '\r') {
			return nil
		}
	}
}

// stoppable returns keys that stop is to be called for once, when nobody reads any more or must go on to; ctx stops them too.
func stoppable(ctx context.Context, in *os.File) (k keys, stop func(), err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return keys{}, nil, err
	}
	release := context.AfterFunc(ctx, func() { _, _ = w.Write([]byte{0}) })
	return keys{in, r}, func() {
		release()
		_, _ = w.Write([]byte{0})
		_ = w.Close() // the other end stays: somebody may be in a Read that is about to return
	}, nil
}

// silent keeps a terminal from showing what is typed, which would disturb what is drawn there. ^C goes on working.
func silent(in *os.File) (restore func()) {
	fd := int(in.Fd())
	state, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return func() {}
	}
	quiet := *state
	quiet.Lflag &^= unix.ECHO | unix.ECHONL
	_ = unix.IoctlSetTermios(fd, unix.TCSETS, &quiet)
	return func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, state) }
}

func isTerminal(in *os.File) bool { return in != nil && term.IsTerminal(int(in.Fd())) }

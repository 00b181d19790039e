package qemu

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// monitor is a connection to a QEMU's machine protocol (QMP, docs/interop/qmp-spec of QEMU 7.2), of which the driver needs
// ten commands. Libraries for it bring libvirt along. Its methods are for one goroutine at a time.
type monitor struct {
	conn *net.UnixConn
	in   *bufio.Scanner
	once sync.Once
}

// message is all that a QEMU says.
type message struct {
	QMP    json.RawMessage `json:"QMP"` // the greeting
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
	Event string `json:"event"`
}

// maxMessage is more than the longest answer that is asked for.
const maxMessage = 1 << 20

// newMonitor greets the QEMU at the other end of conn, which it then owns.
func newMonitor(ctx context.Context, conn *net.UnixConn) (*monitor, error) {
	m := &monitor{conn: conn, in: bufio.NewScanner(conn)}
	m.in.Buffer(make([]byte, 4096), maxMessage)
	var err error
	m.during(ctx, func() {
		var hello message
		if hello, err = m.next(); err == nil && hello.QMP == nil {
			err = errors.New("what answers is no QEMU monitor")
		}
	})
	if err == nil {
		err = m.do(ctx, "qmp_capabilities", nil, nil)
	}
	if err != nil {
		m.close()
		return nil, fmt.Errorf("cannot greet QEMU: %w", err)
	}
	return m, nil
}

func (m *monitor) close() { m.once.Do(func() { _ = m.conn.Close() }) }

// during calls f, whose reads and writes end when ctx does. The connection is of no use then.
func (m *monitor) during(ctx context.Context, f func()) {
	stop := context.AfterFunc(ctx, func() { _ = m.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	f()
}

// do executes a command. args is nil or what marshals to an object; into, where not nil, gets what it returns.
func (m *monitor) do(ctx context.Context, command string, args, into any) error {
	return m.send(ctx, command, args, into, nil)
}

// getFD gives QEMU a file under a name, as a migration's address "fd:NAME" has it.
func (m *monitor) getFD(ctx context.Context, name string, f *os.File) error {
	return m.send(ctx, "getfd", map[string]string{"fdname": name}, nil, f)
}

func (m *monitor) send(ctx context.Context, command string, args, into any, with *os.File) (err error) {
	request, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}{command, args})
	if err != nil {
		return err
	}
	var rights []byte
	if with != nil {
		rights = unix.UnixRights(int(with.Fd()))
	}
	m.during(ctx, func() {
		if _, _, err = m.conn.WriteMsgUnix(append(request, '\n'), rights, nil); err == nil {
			err = m.answer(into)
		}
	})
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("QEMU's %s: %w", command, err)
	}
	return nil
}

// answer waits for the answer to a command; events before it are of no interest.
func (m *monitor) answer(into any) error {
	for {
		msg, err := m.next()
		if err != nil {
			return err
		}
		switch {
		case msg.Error != nil:
			return errors.New(msg.Error.Desc)
		case msg.Return != nil && into != nil:
			return json.Unmarshal(msg.Return, into)
		case msg.Return != nil:
			return nil
		}
	}
}

// errGone says that a QEMU has ended.
var errGone = errors.New("QEMU has ended")

func (m *monitor) next() (message, error) {
	var msg message
	if !m.in.Scan() {
		if err := m.in.Err(); err != nil && !errors.Is(err, unix.ECONNRESET) {
			return msg, err
		}
		return msg, errGone
	}
	return msg, json.Unmarshal(m.in.Bytes(), &msg)
}

// migrationPoll is how often QEMU is asked how far it is: saving and restoring take some hundredths of a second.
const migrationPoll = 2 * time.Millisecond

// migrated waits until a migration, in either direction, is complete.
func (m *monitor) migrated(ctx context.Context) error {
	tick := time.NewTicker(migrationPoll)
	defer tick.Stop()
	for {
		var is struct {
			Status string `json:"status"`
			Desc   string `json:"error-desc"`
		}
		if err := m.do(ctx, "query-migrate", nil, &is); err != nil {
			return err
		}
		switch is.Status {
		case "completed":
			return nil
		case "failed", "cancelled":
			return fmt.Errorf("QEMU's migration is %s: %s", is.Status, is.Desc)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// ignoreShared leaves memory that is shared with a file out of a migration: the file has it. QEMU 7.2 calls it so.
func (m *monitor) ignoreShared(ctx context.Context) error {
	return m.do(ctx, "migrate-set-capabilities", map[string]any{
		"capabilities": []map[string]any{{"capability": "x-ignore-shared", "state": true}},
	}, nil)
}

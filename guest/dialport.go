package guest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/lab"
)

// PortSocket is the unix socket of a VM's port n in the machine's runtime folder: the chardev of the port PortName+n,
// of which QEMU is the server.
func PortSocket(folder string, n int) string {
	return filepath.Join(folder, "agent."+strconv.Itoa(n)+".sock")
}

// portLock is held by the process that uses the port: QEMU lets a second one connect, and hears it when the first goes.
func portLock(folder string, n int) string {
	return filepath.Join(folder, "agent."+strconv.Itoa(n)+".lock")
}

// errPortsBusy means that a machine has as many connections as it can have.
var errPortsBusy = errors.New("all ports of the machine are in use")

// DialPort connects to the agent of a VM through the first of its ports that no process uses, trying again until ctx
// ends: the machine may be booting still. folder is the machine's runtime folder, with the sockets of PortSocket; the
// lock files beside them are made when they are needed. An agent of another build is an error at once, and so are ports
// that are all in use.
func DialPort(ctx context.Context, folder string) (*Client, error) {
	tick := time.NewTicker(retryEvery)
	defer tick.Stop()
	for {
		c, err := dialFreePort(ctx, folder)
		if err == nil {
			return c, nil
		}
		if errors.Is(err, errOtherBuild) {
			return nil, fmt.Errorf("cannot use agent at %s: %w", folder, err)
		}
		if errors.Is(err, errPortsBusy) {
			return nil, &lab.InfraError{
				What: "cannot reach the agent at " + folder,
				Hint: "end one of the saigen processes that use this machine: a run, shells, commands",
				Err:  err,
			}
		}
		select {
		case <-ctx.Done():
			return nil, unreachable(ctx, folder, err)
		case <-tick.C:
		}
	}
}

// dialFreePort tries the ports in their order, and only one that is free: a machine that does not answer there would not
// at another.
func dialFreePort(ctx context.Context, folder string) (*Client, error) {
	var users []string
	for n := range Ports {
		lock, user, err := lockPort(portLock(folder, n))
		if err != nil {
			return nil, err
		}
		if lock == nil {
			users = append(users, user)
			continue
		}
		conn, err := dialUnix(PortSocket(folder, n))
		if err != nil {
			_ = lock.Close()
			return nil, err
		}
		return Connect(ctx, &lockedConn{Conn: conn, lock: lock})
	}
	return nil, fmt.Errorf("%w, by %s", errPortsBusy, strings.Join(users, ", "))
}

// lockPort returns nil and who holds it when the lock is taken. It ends with the file, thus with the process at the latest.
func lockPort(path string) (*os.File, string, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, "", err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		var pid [20]byte
		k, _ := f.ReadAt(pid[:], 0)
		_ = f.Close()
		return nil, "process " + string(pid[:k]), nil
	}
	if err != nil {
		_ = f.Close()
		return nil, "", fmt.Errorf("cannot lock %s: %w", path, err)
	}
	// For the message above; the lock itself is what counts.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	}
	return f, "", nil
}

// lockedConn gives the port free when it is closed, not before.
type lockedConn struct {
	net.Conn
	lock *os.File
	once sync.Once
}

func (c *lockedConn) Close() (err error) {
	c.once.Do(func() { err = errors.Join(c.Conn.Close(), c.lock.Close()) })
	return err
}

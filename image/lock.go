package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lock is a lock on a file, which ends when it is closed or the process ends.
type lock struct{ *os.File }

// lockFile waits for a lock on the file, which is made when missing, and calls waiting once if it must wait. how is
// unix.LOCK_SH or unix.LOCK_EX. It returns no lock when it need not wait any longer, because needless says so.
func lockFile(ctx context.Context, name string, how int, waiting func(), needless func() bool) (*lock, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for tries := 1; ; tries++ {
		l, err := tryLock(name, how)
		if l != nil || err != nil {
			return l, err
		}
		if needless() {
			return nil, nil
		}
		if tries == 3 { // who lists the cache looks at every lock
			waiting()
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// tryLock returns no lock when somebody else has it.
func tryLock(name string, how int) (*lock, error) {
	for {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return nil, err
		}
		switch err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB); {
		case errors.Is(err, unix.EINTR):
			_ = f.Close()
			continue
		case errors.Is(err, unix.EWOULDBLOCK):
			return nil, f.Close()
		case err != nil:
			return nil, errors.Join(fmt.Errorf("cannot lock %s: %v", name, err), f.Close())
		}
		if l := (&lock{f}); l.guards() {
			return l, nil
		}
		_ = f.Close()
	}
}

// guards says whether the lock's file still has its name. Whoever removes an entry removes its lock too, and a lock on a
// file without a name keeps nobody out.
func (l *lock) guards() bool {
	mine, err := l.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(l.Name())
	return err == nil && os.SameFile(mine, there)
}

// touch notes that what the lock guards is used now.
func (l *lock) touch() error {
	now := time.Now()
	return os.Chtimes(l.Name(), now, now)
}

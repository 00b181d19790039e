package guest

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/saigen-lab/saigen/lab"
)

// resumeRequest is what a machine has to be told that went on from a copy of its memory.
type resumeRequest struct {
	Now     time.Time     `json:"now,omitzero"`      // our clock; or
	Step    time.Duration `json:"step,omitempty"`    // by how much the machine's is behind
	Entropy []byte        `json:"entropy,omitempty"` // for its random numbers, which are the same in each copy
}

const (
	entropySize = 64
	// clockNear is how near the machine's clock must come to ours, unless no round trip is shorter than that.
	clockNear = 10 * time.Millisecond
	clockAsks = 3
	clockSets = 4
)

// The step is the only thing that a restore changes for the agent. What it measures and waits for goes by the monotonic
// clock, which a hypervisor stops with the machine. The times that it compares with each other by the calendar, those of
// log lines and of when a look wants them from, are all read after the step in a session that begins after it; lines from
// before the restore stay older than any that come after.

// Resume makes a machine fit for use that was restored from its memory, and shows that it is alive: its random numbers
// are its own, and its clock shows our time, to within a few milliseconds or a round trip. The machine's clock
// steps; what the agent measured meanwhile it throws away. behind is by how much the machine's clock is behind ours; 0: it
// is not known. The first request does it all, and where behind is known, its answer need only agree with that: the programs of
// an emulated machine start cold, so that the answer says less than is known already. Where it is not known, such a machine may
// need so long for the first request that the clock has to be corrected by another.
func (c *Client) Resume(ctx context.Context, behind time.Duration) error {
	q := &resumeRequest{Step: behind, Entropy: make([]byte, entropySize)}
	if behind == 0 {
		q.Now = time.Now()
	}
	_, _ = rand.Read(q.Entropy) // never fails
	var off, within time.Duration
	for n := range clockSets {
		began, before := time.Now(), within
		var a clockAnswer
		if err := c.ask(ctx, request{Op: opResume, Resume: q}, &a); err != nil {
			return fmt.Errorf("cannot resume: %w", err)
		}
		within = time.Since(began) / 2
		off = a.Now.Sub(began.Add(within))
		if n == 0 && behind != 0 && off.Abs() <= within {
			return nil
		}
		if !q.Now.IsZero() {
			before = within
		}
		if within > clockNear {
			var err error
			if off, within, err = c.MeasureClock(ctx); err != nil {
				return fmt.Errorf("cannot resume: %w", err)
			}
		}
		// What the clock was set by is as uncertain as what it is measured by now.
		if off.Abs() <= max(before+within, clockNear) {
			return nil
		}
		q = &resumeRequest{Step: -off}
	}
	return &lab.InfraError{
		What: fmt.Sprintf("cannot resume: the machine's clock is %v off again and again, measured to within %v", off, within),
		Hint: "something in the machine sets its clock: a time service",
	}
}

// MeasureClock returns the machine's clock minus ours, and to within what that is true. It asks again when the answer
// took long: the shortest round trip says most.
func (c *Client) MeasureClock(ctx context.Context) (offset, within time.Duration, err error) {
	for n := range clockAsks {
		off, half, err := c.askClock(ctx)
		if err != nil {
			return 0, 0, err
		}
		if n == 0 || half < within {
			offset, within = off, half
		}
		if within <= clockNear {
			break
		}
	}
	return offset, within, nil
}

// Clock returns the machine's clock minus ours, to within half of a round trip.
func (c *Client) Clock(ctx context.Context) (time.Duration, error) {
	off, _, err := c.askClock(ctx)
	return off, err
}

func (c *Client) askClock(ctx context.Context) (offset, within time.Duration, err error) {
	began := time.Now()
	var a clockAnswer
	if err := c.ask(ctx, request{Op: opClock}, &a); err != nil {
		return 0, 0, fmt.Errorf("cannot ask for the clock: %w", err)
	}
	within = time.Since(began) / 2
	return a.Now.Sub(began.Add(within)), within, nil
}

// kernel is what Resume changes of the machine.
type kernel interface {
	now() time.Time
	step(by time.Duration) error
	stir(entropy []byte) error
}

// resume does what the host asks of a machine that it has restored.
func (a *agent) resume(q resumeRequest) error {
	if len(q.Entropy) > 0 {
		if err := a.kernel.stir(q.Entropy); err != nil {
			return fmt.Errorf("cannot refresh the random numbers: %w", err)
		}
	}
	if !q.Now.IsZero() {
		q.Step = q.Now.Sub(a.kernel.now())
	}
	if err := a.kernel.step(q.Step); err != nil {
		return fmt.Errorf("cannot set the clock: %w", err)
	}
	a.resumed.Add(1)
	return nil
}

// linux is the kernel that the agent runs on.
type linux struct {
	random func() (*os.File, error) // its device for random numbers, which stays open
}

func newLinux() linux {
	return linux{sync.OnceValues(func() (*os.File, error) { return os.OpenFile("/dev/urandom", os.O_WRONLY, 0) })}
}

func (linux) now() time.Time { return time.Now() }

// step is relative, so that the time that it takes to come here does not count.
func (linux) step(by time.Duration) error {
	t := unix.Timex{Modes: unix.ADJ_SETOFFSET | unix.ADJ_NANO}
	sec, nsec := int64(by/time.Second), int64(by%time.Second)
	if nsec < 0 {
		sec, nsec = sec-1, nsec+int64(time.Second)
	}
	t.Time.Sec, t.Time.Usec = sec, nsec
	_, err := unix.ClockAdjtime(unix.CLOCK_REALTIME, &t)
	return err
}

// stir gives the kernel's random numbers a seed of their own: see random(4).
func (l linux) stir(entropy []byte) error {
	f, err := l.random()
	if err != nil {
		return err
	}
	// struct rand_pool_info: how many bits of entropy, how many bytes, the bytes.
	info := binary.NativeEndian.AppendUint32(nil, uint32(8*len(entropy)))
	info = binary.NativeEndian.AppendUint32(info, uint32(len(entropy)))
	info = append(info, entropy...)
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.RNDADDENTROPY, uintptr(unsafe.Pointer(&info[0]))); e != 0 {
		return fmt.Errorf("cannot add entropy: %w", e)
	}
	// Without this the old key lasts for up to a minute.
	if err := unix.IoctlSetInt(int(f.Fd()), unix.RNDRESEEDCRNG, 0); err != nil {
		return fmt.Errorf("cannot reseed: %w", err)
	}
	return nil
}

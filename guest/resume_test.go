package guest

import (
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// frozen is a kernel whose clock stood still for a while.
type frozen struct {
	mu      sync.Mutex
	off     time.Duration
	drift   time.Duration // comes back after each step
	slow    time.Duration // is a step
	asked   int           // for the time
	entropy []string
	fail    error
}

func (f *frozen) now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	return time.Now().Add(f.off)
}

func (f *frozen) step(by time.Duration) error {
	<-time.After(f.slow)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.off += by + f.drift
	return nil
}

func (f *frozen) stir(entropy []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entropy = append(f.entropy, string(entropy))
	return f.fail
}

func resumed(t *testing.T, k *frozen) (*Client, *agent) {
	t.Helper()
	host, machine := net.Pipe()
	a := newAgent(KindsOfTheTests(), quiet())
	a.kernel = k
	go func() { _ = a.serve(t.Context(), machine) }()
	c, err := Connect(t.Context(), host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, a
}

func TestResume(t *testing.T) {
	seeds := map[string]bool{}
	for off, behind := range map[time.Duration]time.Duration{
		-5 * time.Hour:                   0,
		3*time.Minute + time.Millisecond: 0,
		0:                                0,
		-4 * time.Hour:                   4 * time.Hour,
		-6 * time.Hour:                   3 * time.Minute, // what was said of it is wrong
	} {
		k := &frozen{off: off}
		c, a := resumed(t, k)
		if err := c.Resume(t.Context(), behind); err != nil {
			t.Fatal(err)
		}
		// The pipe is in this process, so a round trip is short, but the host may be busy.
		if k.off.Abs() > 500*time.Millisecond {
			t.Errorf("the clock was %v off and is %v off", off, k.off)
		}
		if a.resumed.Load() == 0 || len(k.entropy) == 0 || len(k.entropy[0]) != entropySize || seeds[k.entropy[0]] {
			t.Errorf("resumed %d times with %q", a.resumed.Load(), k.entropy)
		}
		seeds[k.entropy[0]] = true
	}
}

// TestResumeOfASlowMachine: where it is known by how much the clock is behind, a slow answer that agrees is enough; one that
// does not is found out.
func TestResumeOfASlowMachine(t *testing.T) {
	for behind, enough := range map[time.Duration]bool{4 * time.Hour: true, 4*time.Hour - 2*time.Second: false} {
		k := &frozen{off: -4 * time.Hour, slow: 3 * clockNear}
		c, _ := resumed(t, k)
		if err := c.Resume(t.Context(), behind); err != nil {
			t.Fatal(err)
		}
		if k.off.Abs() > 500*time.Millisecond || (k.asked == 1) != enough {
			t.Errorf("%v behind: the clock was asked for %d times, and is %v off", behind, k.asked, k.off)
		}
	}
}

func TestResumeCannot(t *testing.T) {
	c, _ := resumed(t, &frozen{fail: errors.New("no such pool")})
	if err := c.Resume(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "cannot refresh the random numbers: no such pool") {
		t.Errorf("got %v", err)
	}
	c, _ = resumed(t, &frozen{drift: time.Hour})
	var infra *lab.InfraError
	if err := c.Resume(t.Context(), 0); !errors.As(err, &infra) || infra.Hint == "" {
		t.Errorf("got %v", err)
	}
}

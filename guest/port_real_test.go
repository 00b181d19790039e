package guest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/guest"
	"github.com/saigen-lab/saigen/lab"
)

// patience is for one step on the slowest host.
const patience = 2 * time.Minute

func use(t *testing.T, c *guest.Client, verb string, in io.Reader, out io.Writer) lab.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := c.Run(ctx, lab.Command{Argv: []string{"/init", "tool", verb}, Dir: "/", Stdin: in, Stdout: out})
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("%s: %+v", verb, r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// echo sends bytes that occur in no other session there and back.
func echo(t *testing.T, c *guest.Client, size int) {
	t.Helper()
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(rand.IntN(256))
	}
	if r := use(t, c, "cat", bytes.NewReader(data), nil); !bytes.Equal(r.Stdout, data) {
		t.Fatalf("%d bytes went in, %d came back, or others", size, len(r.Stdout))
	}
}

// count is how many tools still run in the machine, when that has come down to what is wanted.
func wantCount(t *testing.T, c *guest.Client, want string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		got := string(use(t, c, "count", nil, nil).Stdout)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s tools run, not %s", got, want)
		}
	}
}

// busy keeps both directions full until the connection is lost. It returns when bytes flow.
func busy(t *testing.T, c *guest.Client) (ended chan error) {
	t.Helper()
	ended = make(chan error, 1)
	flows := make(chan struct{})
	out := writer(func(p []byte) (int, error) {
		select {
		case <-flows:
		default:
			close(flows)
		}
		return len(p), nil
	})
	go func() {
		cmd := lab.Command{Argv: []string{"/init", "tool", "cat"}, Dir: "/", Stdin: flood{}, Stdout: out}
		_, err := c.Run(context.WithoutCancel(t.Context()), cmd)
		ended <- err
	}()
	select {
	case <-flows:
	case err := <-ended:
		t.Fatal(err)
	}
	return ended
}

type writer func(p []byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestRealPorts(t *testing.T) {
	v := bootVM(t, "")
	began := time.Now()
	first := v.client(t)
	t.Logf("the agent of a VM answers %v after its start", time.Since(began).Round(time.Millisecond))
	echo(t, first, 1<<20)

	t.Run("one process each", func(t *testing.T) {
		all := []*guest.Client{first}
		for range guest.Ports - 1 {
			c := v.client(t)
			echo(t, c, 1000)
			all = append(all, c)
		}
		_, err := guest.DialPort(t.Context(), v.folder)
		var infra *lab.InfraError
		if !errors.As(err, &infra) || infra.Hint == "" || !strings.Contains(err.Error(), "all ports of the machine are in use") {
			t.Errorf("got %v", err)
		}
		for _, c := range all[1:] {
			_ = c.Close()
		}
		echo(t, v.client(t), 1000)
	})

	t.Run("hosts come and go", func(t *testing.T) {
		_ = first.Close()
		for range 10 {
			c := v.client(t)
			ended := busy(t, c)
			_ = c.Close()
			if err := <-ended; err == nil {
				t.Error("a command without an end ended")
			}
		}
		c := v.client(t)
		echo(t, c, 1<<20)
		wantCount(t, c, "0")
		_ = c.Close()
	})

	t.Run("an idle agent does not spin", func(t *testing.T) {
		c := v.client(t)
		if ticks, err := strconv.Atoi(string(use(t, c, "busy", nil, nil).Stdout)); err != nil || ticks > 50 {
			t.Errorf("it ran for %d hundredths of a second, %v", ticks, err)
		}
		_ = c.Close()
	})

	t.Run("restored in mid-word", func(t *testing.T) {
		c := v.client(t)
		ended := busy(t, c)
		idle := v.client(t)
		echo(t, idle, 10)
		memory := v.save(t)
		if err := <-ended; err == nil {
			t.Error("a command without an end ended")
		}
		_, _ = c.Close(), idle.Close()
		var random []string
		for range 2 {
			clone := bootVM(t, memory)
			began := time.Now()
			clients := make(chan *guest.Client, 1)
			go func() { // its greeting waits in QEMU's socket
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				c, err := guest.DialPort(ctx, clone.folder)
				if err != nil {
					t.Error(err)
				}
				clients <- c
			}()
			clone.resume(t)
			c := <-clients
			if c == nil {
				return
			}
			answered := time.Since(began)
			before, err := c.Clock(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			began = time.Now()
			if err := c.Resume(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			resumed := time.Since(began)
			began = time.Now()
			after, err := c.Clock(t.Context())
			certain := time.Since(began) / 2
			// Between saving and here are at least the reading and the writing of the memory.
			if err != nil || before > -100*time.Millisecond || after.Abs() > certain+50*time.Millisecond {
				t.Errorf("the clock was %v off and is %v off, %v", before, after, err)
			}
			t.Logf("a clone answers %v after its start, and is resumed in %v: its clock was %v off and is %v off", answered, resumed, before, after)
			wantCount(t, c, "0") // what the old session's command was is killed
			random = append(random, string(use(t, c, "random", nil, nil).Stdout))
			echo(t, c, 1<<20)
			echo(t, clone.client(t), 1000)
			clone.stop()
		}
		if len(random[0]) != 32 || random[0] == random[1] {
			t.Errorf("two clones read the random bytes %x and %x", random[0], random[1])
		}
	})
}

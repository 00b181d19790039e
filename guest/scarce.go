package guest

import (
	"errors"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// A machine may have no process to spare, because that is what is wrong with it. Then fork(2) and pthread_create(3) fail
// with EAGAIN, and Go's runtime ends a program that cannot have a thread ("failed to create new OS thread").

// threads is how many an agent or a holder has from its start: more than it has looks and commands that wait for the
// kernel at the same time. The runtime keeps a thread that it has made.
const threads = 32

// makeThreads has the runtime make n threads now. What processors it has is settled with that: the runtime would look every
// second whether its cgroup has another share of them, and in every copy of a saved machine at once.
func makeThreads(n int) {
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var made, end sync.WaitGroup
	end.Add(1)
	for range n {
		made.Add(1)
		go func() {
			runtime.LockOSThread() // until all are there, each needs one of its own
			defer runtime.UnlockOSThread()
			made.Done()
			end.Wait()
		}()
	}
	made.Wait()
	end.Done()
}

const (
	forkPatience = 3 * time.Second // how long a command waits for a process to become free
	forkPoll     = 5 * time.Millisecond
)

// start starts a command. Where no process is free it tries again for a while: processes come and go.
func start(cmd *exec.Cmd) (*exec.Cmd, error) {
	for deadline := time.Now().Add(forkPatience); ; {
		c := &exec.Cmd{
			Path: cmd.Path, Args: cmd.Args, Dir: cmd.Dir, Env: cmd.Env,
			Stdin: cmd.Stdin, Stdout: cmd.Stdout, Stderr: cmd.Stderr, SysProcAttr: cmd.SysProcAttr,
		}
		err := c.Start()
		if !errors.Is(err, syscall.EAGAIN) || time.Now().After(deadline) {
			return c, err
		}
		<-time.After(forkPoll)
	}
}

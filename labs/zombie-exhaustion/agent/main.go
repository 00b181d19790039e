// agent stands in for a monitoring agent: at a steady rate it runs a small program of the system and waits for its end. There
// is nothing wrong with it, and whatever else is preloaded into that program is not its business.
package main

import (
	"log"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"time"
)

func main() {
	log.SetFlags(0)
	rate, err := strconv.Atoi(os.Getenv("CHECKS_PER_SECOND"))
	if err != nil || rate < 1 {
		log.Fatalf("CHECKS_PER_SECOND must be a number from 1, not %q", os.Getenv("CHECKS_PER_SECOND"))
	}
	// One byte for each check that was made: whoever wants to know how many looks at the size, and needs no process for it.
	count, err := os.Create("/var/lib/agent/checks")
	if err != nil {
		log.Fatal(err)
	}
	threads(16)
	log.Printf("the agent is process %d and makes %d checks per second", os.Getpid(), rate)
	failed, said := 0, time.Now()
	for range time.Tick(time.Second / time.Duration(rate)) {
		if err = check(); err == nil {
			_, err = count.Write([]byte{'.'})
		}
		if err == nil {
			continue
		}
		if failed++; failed == 1 || time.Since(said) > 500*time.Millisecond { // a log is no place for a hundred equal lines
			log.Printf("check failed: %v (%d failed so far)", err, failed)
			said = time.Now()
		}
	}
}

// check does what a check of a real agent does: exec, and wait.
func check() error { return exec.Command("/usr/bin/uname", "-r").Run() }

// threads has the runtime make its threads now. An agent that has run for days has them; without, the first thing to die
// of the want of processes would be this program, and its end would free them all.
func threads(n int) {
	var made, end sync.WaitGroup
	end.Add(1)
	for range n {
		made.Add(1)
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			made.Done()
			end.Wait()
		}()
	}
	made.Wait()
	end.Done()
}

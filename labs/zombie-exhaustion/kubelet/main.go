// kubelet stands in for what of a node's own work needs processes: the exec probe of aws-node's pod, which is a Go program
// (grpc-health-probe), and the node's heartbeat, for which it runs mount. It is no kubelet: the words are those of one.
package main

import (
	"bytes"
	"log"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

const (
	awsNode   = "127.0.0.1:50051" // where ipamd answers, and grpc-health-probe asks
	threshold = 3                 // failureThreshold
)

func main() {
	log.SetFlags(0)
	if len(os.Args) > 1 && os.Args[1] == "health-probe" {
		if c, err := net.DialTimeout("tcp", awsNode, time.Second); err != nil {
			log.Fatal(err)
		} else {
			_ = c.Close()
		}
		return
	}
	threads(16)
	l, err := net.Listen("tcp", awsNode)
	if err != nil {
		log.Fatal(err)
	}
	go serve(l)
	go probe()
	heartbeat()
}

// serve is aws-node, which never has anything wrong with it.
func serve(l net.Listener) {
	for {
		if c, err := l.Accept(); err == nil {
			_ = c.Close()
		}
	}
}

// probe runs aws-node's exec probe, as the container runtime would.
func probe() {
	failures := 0
	for range time.Tick(700 * time.Millisecond) {
		switch out, err := run("/proc/self/exe", "health-probe"); {
		case err == nil && failures >= threshold:
			log.Print("aws-node is healthy")
			failures = 0
		case err == nil:
			failures = 0
		default:
			if failures++; failures == threshold {
				log.Printf("aws-node is unhealthy: %v: %s", err, out)
			}
		}
	}
}

// heartbeat says when the node becomes Ready, and when it becomes NotReady.
func heartbeat() {
	ready := false
	for range time.Tick(100 * time.Millisecond) {
		_, err := run("/usr/bin/mount")
		if now := err == nil; now != ready {
			if ready = now; ready {
				log.Print("node is Ready")
			} else {
				log.Printf("node is NotReady: mount failed: %v", err)
			}
		}
	}
}

// run returns the first line that a program printed on stderr.
func run(program string, args ...string) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stderr = &stderr
	err := cmd.Run()
	line, _, _ := bytes.Cut(stderr.Bytes(), []byte("\n"))
	return string(line), err
}

// threads has the runtime make its threads now: a kubelet that has run for days has them.
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

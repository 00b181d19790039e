// Command client asks the agent, as the QA test of the incident did: for every request a new client, which connects, asks
// once, waits for the answer and closes.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-zeromq/zmq4"
)

func main() {
	agent := flag.String("agent", "tcp://127.0.0.1:5555", "whom to ask")
	identity := flag.String("identity", "", "the identity of every client; without it each has one of its own, at random, as is go-zeromq's default")
	requests := flag.Int64("n", 1, "how many requests")
	clients := flag.Int("clients", 1, "how many clients at once")
	patience := flag.Duration("patience", 0, "how long to try again when a request fails")
	flag.Parse()

	var left, failed atomic.Int64
	left.Store(*requests)
	var all sync.WaitGroup
	for range *clients {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				if err := persist(*agent, *identity, *patience); err != nil {
					failed.Add(1)
					fmt.Fprintln(os.Stderr, err)
				}
			}
		})
	}
	all.Wait()
	if n := failed.Load(); n > 0 {
		fmt.Fprintf(os.Stderr, "%d of %d requests failed\n", n, *requests)
		os.Exit(1)
	}
}

// persist asks until there is an answer, for some time: an agent that is being restarted is not one that does not answer.
func persist(agent, identity string, patience time.Duration) error {
	for deadline := time.Now().Add(patience); ; {
		err := ask(agent, identity)
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

func ask(agent, identity string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var options []zmq4.Option
	if identity != "" {
		options = append(options, zmq4.WithID(zmq4.SocketIdentity(identity)))
	}
	socket := zmq4.NewReq(ctx, options...)
	defer socket.Close()
	if err := socket.Dial(agent); err != nil {
		return fmt.Errorf("cannot connect: %w", err)
	}
	if err := socket.Send(zmq4.NewMsgString("how are you?")); err != nil {
		return fmt.Errorf("cannot ask: %w", err)
	}
	if _, err := socket.Recv(); err != nil {
		return fmt.Errorf("cannot hear the answer: %w", err)
	}
	return nil
}

// Command agent answers requests over ZeroMQ, as the agent of the incident did: a REP socket, a word in, a word out. It keeps
// nothing of a request.
//
// On a second port it shows what it has of itself: /stats, and the heap and goroutines in /debug/pprof/.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"
	_ "net/http/pprof"
	"sync/atomic"

	"github.com/go-zeromq/zmq4"
)

func main() {
	listen := flag.String("listen", "tcp://127.0.0.1:5555", "where to answer")
	debug := flag.String("debug", "127.0.0.1:6060", "where to show the heap")
	flag.Parse()

	var requests atomic.Int64
	http.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "requests %d\n", requests.Load())
	})
	go func() { log.Fatal(http.ListenAndServe(*debug, nil)) }()

	socket := zmq4.NewRep(context.Background())
	if err := socket.Listen(*listen); err != nil {
		log.Fatal(err)
	}
	for {
		if _, err := socket.Recv(); err != nil {
			log.Printf("cannot receive: %v", err)
			continue
		}
		requests.Add(1)
		if err := socket.Send(zmq4.NewMsgString("ok")); err != nil {
			log.Printf("cannot answer: %v", err)
		}
	}
}

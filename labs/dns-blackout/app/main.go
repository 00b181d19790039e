// Command app is both services of the lab: the app, which answers every request at once, and, with the argument worker, the
// one that needs it: every half a second it looks the name app up and asks for a page.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		work(stop)
		return
	}
	serve(stop)
}

func serve(stop context.Context) {
	server := &http.Server{
		Addr:              ":3000",
		ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, "hello")
		}),
	}
	context.AfterFunc(stop, func() { _ = server.Close() })
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
}

// work fetches a page for each tick, over a connection of its own: what is tested is the way there.
func work(stop context.Context) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		if err := fetch(stop, client); err != nil {
			log.Printf("cannot work: %v", err)
		} else {
			log.Print("worked")
		}
		select {
		case <-stop.Done():
			return
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// patience is how long one lookup, and one page, may take.
const patience = 2 * time.Second

func fetch(stop context.Context, client *http.Client) error {
	looking, cancel := context.WithTimeout(stop, patience)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(looking, "app")
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(stop, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(asking, http.MethodGet, "http://"+net.JoinHostPort(addresses[0], "3000")+"/", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

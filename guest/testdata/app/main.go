// Command app is the service image of the tests: it says who owns what in its container, and then serves a page.
package main

import (
	"fmt"
	"net/http"
	"os"
	"syscall"
)

func main() {
	for _, path := range []string{"/", "/proc/self/exe"} {
		fi, err := os.Stat(path)
		if err != nil {
			fmt.Println(err)
			continue
		}
		owner := fi.Sys().(*syscall.Stat_t)
		fmt.Println("owner of", path, owner.Uid, owner.Gid)
	}
	fmt.Println("write", os.WriteFile("/x", nil, 0o644), "as", os.Getuid())
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "to stderr")
		err := http.ListenAndServe(":3000", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, "hi")
		}))
		fmt.Println(err)
	}
}

package image

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

// command is a program that may run for minutes.
type command struct {
	argv []string
	dir  string
	env  []string
	// private gives root's programs mount and PID namespaces of their own: what they mount is gone with them, and
	// nothing that they start outlives them. A normal user's programs make their own.
	private bool
	// mapped gives a normal user's program the same, and a user namespace in which he is root and his subordinate ids
	// are the ids from 1 on. For root it is private.
	mapped bool
	// memory is a folder that is a file system in memory for a private program; empty: none.
	memory string
	log    io.Writer         // what it prints
	line   func(line string) // called for every line that it prints, and with "" every second; may be nil
}

const (
	tailLines = 15       // of a failed command's output go into its error
	mostLine  = 8 << 10  // bytes of a line that are kept
	mostLog   = 64 << 20 // bytes of a log that are kept: what prints may be a lab's
)

// run runs the command to its end and returns what it printed last. When ctx ends, the command and all that it
// started are killed. When this process dies, the kernel kills it.
func (c command) run(ctx context.Context) (last []string, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The kernel sends Pdeathsig when the thread that started the child ends, so the thread is kept until then.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		last, err = c.locked(ctx)
	}()
	<-done
	return last, err
}

func (c command) locked(ctx context.Context) ([]string, error) {
	argv := c.argv
	root := os.Geteuid() == 0
	isolate := c.mapped || c.private && root
	if isolate {
		if c.memory != "" {
			argv = append([]string{"sh", "-c", `mount -t tmpfs -o mode=755 none "$1" && shift && exec "$@"`, "sh", c.memory}, argv...)
		}
		argv = append([]string{"--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "--"}, argv...)
		if !root {
			argv = append([]string{"--user", "--map-root-user", "--map-auto"}, argv...)
		}
		argv = append([]string{"unshare"}, argv...)
	}
	program, err := lookPath(argv[0])
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{
		Path: program, Args: argv, Dir: c.dir, Env: c.env,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	_ = w.Close()
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { killGroup(cmd.Process.Pid, isolate) })
	last := c.follow(r)
	err = cmd.Wait()
	stop()
	if ctx.Err() != nil {
		return last, ctx.Err()
	}
	if err != nil {
		return last, &failure{why: complaint(last, err), last: last}
	}
	return last, nil
}

// failure is a command that did not end well.
type failure struct {
	why  string
	last []string // lines that it printed
}

func (f *failure) Error() string { return f.why }

// inLab names the files in what a compiler has printed as the lab names them.
func inLab(err error, folder lab.Path) error {
	f, ok := errors.AsType[*failure](err)
	if !ok {
		return err
	}
	there := func(line string) string {
		if rest, ok := strings.CutPrefix(line, "./"); ok {
			return path.Join(string(folder), rest)
		}
		return line
	}
	named := &failure{why: there(f.why)}
	for _, line := range f.last {
		named.last = append(named.last, there(line))
	}
	return named
}

// compilers say what is wrong at a place, and gcc says other things after it.
var (
	compilerSays = regexp.MustCompile(`^[^\s:]+\.(go|c|h):[0-9]+(:[0-9]+)?: `)
	compilerAlso = regexp.MustCompile(`: (warning|note): `)
)

// complaint is the first line in which a compiler, apt, mmdebstrap or podman say what is wrong, else the last line of all.
func complaint(last []string, err error) string {
	if len(last) == 0 {
		return err.Error()
	}
	for _, line := range last {
		if compilerSays.MatchString(line) && !compilerAlso.MatchString(line) {
			return line
		}
		for _, mark := range []string{"E: ", "Error: "} {
			if text, ok := strings.CutPrefix(line, mark); ok {
				return text
			}
		}
	}
	return last[len(last)-1]
}

// infra is the error of a step that failed, with the output that explains it apart from the message.
func infra(what string, err error, log string) error {
	e := &lab.InfraError{What: what, Err: err}
	if f, ok := errors.AsType[*failure](err); ok {
		e.Tail = strings.Join(f.last, "\n")
	}
	if _, missing := os.Stat(log); missing == nil {
		e.Hint = "the whole log: " + log
	}
	return e
}

// follow reads what the command prints until its end, and returns the last lines.
func (c command) follow(r io.Reader) (last []string) {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewReaderSize(r, mostLine); ; {
			text, err := in.ReadSlice('\n')
			line := string(text)
			for errors.Is(err, bufio.ErrBufferFull) { // the rest of a long line
				_, err = in.ReadSlice('\n')
			}
			if line != "" {
				lines <- strings.TrimSuffix(line, "\n")
			}
			if err != nil {
				return
			}
		}
	}()
	kept := 0
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case text, ok := <-lines:
			if !ok {
				return last
			}
			switch kept += len(text) + 1; {
			case kept <= mostLog:
				_, _ = fmt.Fprintln(c.log, text)
			case kept-len(text)-1 <= mostLog:
				_, _ = fmt.Fprintf(c.log, "saigen: what else it printed is not kept: it is more than %d MiB\n", mostLog>>20)
			}
			if last = append(last, text); len(last) > tailLines {
				last = last[1:]
			}
			if c.line != nil {
				c.line(text)
			}
		case <-tick.C:
			if c.line != nil {
				c.line("")
			}
		}
	}
}

// killGroup ends a process group. A normal user's mmdebstrap has files that only it can remove (they belong to his
// subordinate ids), so it is asked first.
func killGroup(pid int, isolated bool) {
	if !isolated {
		_ = syscall.Kill(-pid, syscall.SIGTERM)
		deadline := time.Now().Add(10 * time.Second)
		for tick := time.NewTicker(20 * time.Millisecond); time.Now().Before(deadline); <-tick.C {
			if syscall.Kill(-pid, 0) != nil {
				return
			}
		}
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL)
}

// sbin is where Debian keeps programs that a normal user's PATH may lack.
const sbin = "/usr/local/sbin:/usr/sbin:/sbin"

func lookPath(name string) (string, error) {
	if program, err := exec.LookPath(name); err == nil {
		return program, nil
	}
	for dir := range strings.SplitSeq(sbin, ":") {
		if program, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return program, nil
		}
	}
	return "", fmt.Errorf("%s is not installed: apt-get install %s", name, debianPackage(name))
}

func debianPackage(program string) string {
	switch program {
	case "go":
		return "golang-go"
	case "unshare":
		return "util-linux"
	case "mke2fs":
		return "e2fsprogs"
	case "qemu-img":
		return "qemu-utils"
	}
	return program
}

// plainEnv is an environment in which nothing of the user's settings changes what is built; proxies stay.
func plainEnv(extra ...string) []string {
	env := []string{"PATH=" + os.Getenv("PATH") + ":" + sbin, "HOME=" + os.Getenv("HOME"), "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return append(env, extra...)
}

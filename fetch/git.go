package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// git makes the folder dst of the commit of s; tmp is for what it needs meanwhile. Nothing is checked out: a commit
// that is small to download can be endless on disk, so its files come as a tar stream, which is bounded.
func (f *Fetcher) git(ctx context.Context, s source, tmp, dst string) error {
	conf, err := f.gitReady(ctx, s, tmp)
	if err != nil {
		return err
	}
	repo := filepath.Join(tmp, "repo")
	init := []string{"init", "--quiet", "--bare", "--template="}
	if len(s.sum) == 64 {
		init = append(init, "--object-format=sha256")
	}
	if err := f.gitCommand(ctx, tmp, conf, append(init, repo), io.Discard); err != nil {
		return err
	}
	fetch := []string{"--git-dir", repo, "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--", s.url.String(), s.sum}
	if err := f.gitCommand(ctx, tmp, conf, fetch, io.Discard); err != nil {
		// What reached the bound was killed, and git does not say so.
		packs, _ := filepath.Glob(filepath.Join(repo, "objects", "pack", "*"))
		for _, p := range packs {
			if st, missing := os.Stat(p); missing == nil && st.Size() >= f.limit.download/512*512 {
				return fmt.Errorf("it is larger than %d MiB", f.limit.download>>20)
			}
		}
		return err
	}
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	archived := make(chan error, 1)
	go func() {
		err := f.gitCommand(ctx, tmp, conf, []string{"--git-dir", repo, "archive", "--format=tar", s.sum}, w)
		_ = w.CloseWithError(err) // never fails
		archived <- err
	}()
	err = f.untar(ctx, r, dst)
	if err == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(r, 1<<20)) // the padding of the last block
	}
	cancel() // git is not needed any more, and stops when it wants to write
	_ = r.Close()
	if failed := <-archived; err == nil && failed != nil {
		return failed
	}
	return err
}

// gitReady is what git is told, when there is a git that can be used.
func (f *Fetcher) gitReady(ctx context.Context, s source, tmp string) ([]string, error) {
	if _, err := exec.LookPath("git"); err != nil {
		return nil, errors.New("git is not installed: apt-get install git")
	}
	if err := f.gitIsNew(ctx, tmp); err != nil {
		return nil, err
	}
	return f.gitConfig(ctx, s, tmp)
}

// gitIsNew says whether git knows all of gitConfig: an older one would ignore http.curloptResolve silently.
func (f *Fetcher) gitIsNew(ctx context.Context, tmp string) error {
	var out bytes.Buffer
	if err := f.gitCommand(ctx, tmp, nil, []string{"version"}, &out); err != nil {
		return err
	}
	var major, minor int
	if _, err := fmt.Sscanf(out.String(), "git version %d.%d", &major, &minor); err != nil {
		return fmt.Errorf("git says that it is %q", strings.TrimSpace(out.String()))
	}
	if major < 2 || major == 2 && minor < 37 {
		return fmt.Errorf("git is %d.%d, and 2.37 or newer is needed", major, minor)
	}
	return nil
}

// gitConfig is what git is told: not to use what is not needed here, and to connect to the addresses that were checked.
func (f *Fetcher) gitConfig(ctx context.Context, s source, tmp string) ([]string, error) {
	addrs, err := f.lookUp(ctx, s.url.Hostname())
	if err != nil {
		return nil, err
	}
	port := s.url.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[s.url.Scheme]
	}
	conf := []string{
		"protocol.allow=never", "protocol." + s.url.Scheme + ".allow=always",
		"http.followRedirects=false", // they would lead to addresses that nobody checked
		"http.proxy=", "credential.helper=", "core.askPass=", "core.hooksPath=/dev/null",
		"fetch.unpackLimit=1",       // one pack: then the bound of a file's size is the bound of the download
		"transfer.fsckObjects=true", // names such as .git and ..
		"core.bigFileThreshold=1m",  // larger files are not held in memory
		"gc.auto=0", "maintenance.auto=false",
	}
	if net.ParseIP(s.url.Hostname()) == nil {
		list := make([]string, len(addrs))
		for i, a := range addrs {
			list[i] = a.String()
			if a.Is6() {
				list[i] = "[" + list[i] + "]"
			}
		}
		conf = append(conf, fmt.Sprintf("http.curloptResolve=%s:%s:%s", s.url.Hostname(), port, strings.Join(list, ",")))
	}
	if len(f.CA) > 0 {
		ca := filepath.Join(tmp, "ca.pem")
		if err := os.WriteFile(ca, f.CA, 0o600); err != nil {
			return nil, err
		}
		conf = append(conf, "http.sslCAInfo="+ca)
	}
	return conf, nil
}

// gitScript sets the bound of a file's size, in units of 512 bytes, for git and all that it starts, and ends them all when
// the pipe at 3 closes, which it does when saigen is killed: git's own helper for HTTP would wait for its server for ever.
const gitScript = `ulimit -f "$0" || exit; (read -r never; kill -9 0) <&3 >/dev/null 2>&1 & exec git "$@" 3<&-`

// lastBytes keeps the last of what is written to it: a server may have git print without end.
type lastBytes struct {
	most int
	kept []byte
}

func (l *lastBytes) Write(p []byte) (int, error) {
	l.kept = append(l.kept, p...)
	if over := len(l.kept) - l.most; over > 0 {
		l.kept = append(l.kept[:0], l.kept[over:]...)
	}
	return len(p), nil
}

// gitCommand runs git with nothing of the user's environment, in a process group that ends with ctx.
func (f *Fetcher) gitCommand(ctx context.Context, tmp string, conf, args []string, stdout io.Writer) error {
	full := []string{"-c", gitScript, strconv.FormatInt(f.limit.download/512, 10)}
	for _, c := range conf {
		full = append(full, "-c", c)
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", append(full, args...)...)
	cmd.Dir = tmp
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + tmp, "TMPDIR=" + tmp, "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
	}
	stderr := &lastBytes{most: 64 << 10}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	alive, leash, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _, _ = leash.Close(), alive.Close() }() // nothing is written to them
	cmd.ExtraFiles = []*os.File{alive}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	if err = cmd.Run(); err == nil {
		return nil
	}
	said := strings.TrimSpace(string(stderr.kept))
	if i := strings.LastIndex(said, "\n"); i >= 0 {
		said = said[i+1:]
	}
	said = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) { // it may be the server that speaks, to a terminal
			return '?'
		}
		return r
	}, said)
	return fmt.Errorf("git says: %s (%w)", said, err)
}

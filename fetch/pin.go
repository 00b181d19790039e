package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// Address is a source as a command line has it: with its sum as the parameter checksum, where go-getter has it, and for git
// with a commit, a branch or a tag as ref.
type Address struct {
	Source   string // without checksum, and without the ref of a branch or tag
	Checksum string // as Get takes it; empty: not said in the address, or the commit is in Source
	Ref      string // a branch or tag, which may be another commit tomorrow; empty: none
	Git      bool

	subdir string // that Source names
}

// refForm is a name that no part of git takes for an option, a pattern or a revision of another (git-check-ref-format(1)).
var refForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/+-]*$`)

// ParseAddress reads an address, and says what is wrong with it as far as can be said without asking anybody.
func (f *Fetcher) ParseAddress(text string) (Address, error) {
	a, err := f.parseAddress(text)
	if err != nil {
		return Address{}, fmt.Errorf("cannot fetch %s: %w", text, err)
	}
	return a, nil
}

func (f *Fetcher) parseAddress(text string) (Address, error) {
	before, query, _ := strings.Cut(text, "?")
	q, err := url.ParseQuery(query)
	if err != nil {
		return Address{}, fmt.Errorf("what stands behind \"?\" cannot be read: %w", err)
	}
	a := Address{Checksum: q.Get("checksum"), Git: strings.HasPrefix(before, formatGit+"::")}
	for name, values := range q {
		if len(values) > 1 {
			return Address{}, fmt.Errorf("it has the parameter %s twice", name)
		}
	}
	q.Del("checksum")
	if ref := q.Get("ref"); a.Git && ref != "" && !fullCommit.MatchString(strings.ToLower(ref)) {
		if a.Ref = ref; !refForm.MatchString(ref) || strings.Contains(ref, "..") || strings.HasSuffix(ref, ".lock") {
			return Address{}, fmt.Errorf("%q is not the name of a branch or tag", ref)
		}
		if a.Checksum != "" {
			return Address{}, fmt.Errorf("the address says ref=%s, and which commit it must be as checksum: write the commit as ref, and leave the checksum out", ref)
		}
		q.Del("ref")
	}
	if a.Source = before; len(q) > 0 {
		a.Source += "?" + q.Encode()
	}
	s, left, err := locate(a.Source, f.AllowHTTP)
	switch {
	case err != nil:
		return Address{}, err
	case s.format == formatFile:
		return Address{}, errors.New("it is a single file, and a lab is a folder: an archive is known by its name, or by ?archive=tar.gz; a git repository is written as git::https://HOST/PATH")
	case a.Git && a.Ref == "" && !left.Has("ref") && a.Checksum == "":
		return Address{}, errors.New("it does not say which commit: add ?ref= and a commit, or a branch or tag, such as ?ref=main; saigen then finds out which commit that is, and stays with it")
	}
	if a.subdir = s.subdir; a.Pinned() {
		_, err = parse(a.Source, a.Checksum, f.AllowHTTP)
	}
	return a, err
}

// Pinned says whether the address says by itself which bytes are meant.
func (a Address) Pinned() bool { return a.Ref == "" && (a.Git || a.Checksum != "") }

// Key is what a decision about an unpinned address is remembered by.
func (a Address) Key() string {
	if a.Ref == "" {
		return a.Source
	}
	return a.with("ref", a.Ref)
}

// At is the address with what it was found to be: of a branch the commit, as Commit returns it.
func (a Address) At(commit string) Address {
	a.Source, a.Ref = a.with("ref", commit), ""
	return a
}

// Sum is what a pinned address is checked by, for people: "commit 0123…" or "sha256:…".
func (a Address) Sum() string {
	if !a.Git || a.Checksum != "" {
		return strings.Replace(a.Checksum, "commit:", "commit ", 1)
	}
	_, query, _ := strings.Cut(a.Source, "?")
	q, _ := url.ParseQuery(query) // it was parsed before
	return "commit " + q.Get("ref")
}

// String is the address as a command line takes it, whole.
func (a Address) String() string {
	if a.Ref != "" || a.Checksum == "" {
		return a.Key()
	}
	return a.with("checksum", a.Checksum)
}

// In is the address of a folder of what the address names.
func (a Address) In(folder string) Address {
	if folder == "" || folder == "." {
		return a
	}
	deep := a.subdir != ""
	a.subdir = path.Join(a.subdir, folder)
	folder = strings.TrimPrefix((&url.URL{Path: "/" + folder}).EscapedPath(), "/")
	before, query, has := strings.Cut(a.Source, "?")
	if deep {
		before = strings.TrimRight(before, "/") + "/" + folder
	} else {
		before = strings.TrimRight(before, "/") + "//" + folder
	}
	if a.Source = before; has {
		a.Source += "?" + query
	}
	return a
}

// with is Source with one more parameter, whose value has no character that would have to be escaped.
func (a Address) with(name, value string) string {
	join := "?"
	if strings.Contains(a.Source, "?") {
		join = "&"
	}
	return a.Source + join + name + "=" + value
}

// HostOf is the host that a source names; empty: it names none.
func HostOf(source string) string {
	u, err := url.Parse(strings.TrimPrefix(source, formatGit+"::"))
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// Fetched is what an address has brought.
type Fetched struct {
	Path string // what the address names
	Root string // all that came with it; nothing outside of it belongs to it
	Key  string // of Root in the cache: the same for the same bytes, and one component of a path
}

// Fetch is Get for a pinned address.
func (f *Fetcher) Fetch(ctx context.Context, a Address) (Fetched, error) {
	s, err := parse(a.Source, a.Checksum, f.AllowHTTP)
	if err != nil {
		return Fetched{}, fmt.Errorf("cannot fetch %s: %w", a, err)
	}
	p, err := f.Get(ctx, a.Source, a.Checksum)
	if err != nil {
		return Fetched{}, err
	}
	return Fetched{Path: p, Root: f.path(s), Key: s.key()}, nil
}

// Holds says whether a path lies in the folder of what was fetched, where nobody of this host has written it.
func (f *Fetcher) Holds(name string) bool {
	name, err := filepath.Abs(name)
	if real, wrong := filepath.EvalSymlinks(name); err == nil && wrong == nil {
		name = real
	}
	dir, wrong := filepath.EvalSymlinks(f.dir)
	if err != nil || wrong != nil {
		return false
	}
	rel, err := filepath.Rel(dir, name)
	return err == nil && filepath.IsLocal(rel)
}

// Commit asks a git repository which commit its branch or tag is now.
func (f *Fetcher) Commit(ctx context.Context, a Address) (commit string, err error) {
	s, _, err := locate(a.Source, f.AllowHTTP)
	if err == nil && (!a.Git || a.Ref == "") {
		err = errors.New("it names no branch and no tag")
	}
	if err == nil {
		err = f.aside(ctx, func(ctx context.Context, tmp string) error {
			commit, err = f.listed(ctx, s, tmp, a.Ref)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		})
	}
	if err != nil {
		return "", fmt.Errorf("cannot find out which commit %s is: %w", a.Key(), err)
	}
	return commit, nil
}

// listed looks a branch or tag up, as git fetch would be told of it: with a tag that is an object of its own (tag -a), the
// commit is listed with "^{}" behind the name (gitrevisions(7)).
func (f *Fetcher) listed(ctx context.Context, s source, tmp, ref string) (string, error) {
	s.url.RawQuery = ""
	conf, err := f.gitReady(ctx, s, tmp)
	if err != nil {
		return "", err
	}
	names := []string{"refs/heads/" + ref, "refs/tags/" + ref + "^{}", "refs/tags/" + ref}
	if ref == "HEAD" || strings.HasPrefix(ref, "refs/") {
		names = []string{ref + "^{}", ref}
	}
	out := &boundedBuffer{left: 1 << 20}
	if err := f.gitCommand(ctx, tmp, conf, append([]string{"ls-remote", "--quiet", "--", s.url.String()}, names...), out); err != nil {
		if out.left < 0 {
			return "", errors.New("the server lists more than it was asked for")
		}
		return "", err
	}
	found := map[string]string{}
	for line := range strings.Lines(out.b.String()) {
		commit, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if fullCommit.MatchString(commit) {
			found[name] = commit
		}
	}
	_, branch := found["refs/heads/"+ref]
	if _, tag := found["refs/tags/"+ref]; branch && tag {
		return "", fmt.Errorf("the repository has a branch and a tag %q: write ref=refs/heads/%s or ref=refs/tags/%s", ref, ref, ref)
	}
	for _, name := range names {
		if found[name] != "" {
			return found[name], nil
		}
	}
	return "", fmt.Errorf("the repository has no branch and no tag %q; a commit is written whole, with 40 digits", ref)
}

// boundedBuffer takes so many bytes and no more. The buffer is not embedded: its ReadFrom would go round the bound.
type boundedBuffer struct {
	b    bytes.Buffer
	left int
}

func (b *boundedBuffer) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, io.ErrShortBuffer
	}
	return b.b.Write(p)
}

// SumNow downloads what lies at the address of an archive now, keeps nothing of it, and returns its checksum.
func (f *Fetcher) SumNow(ctx context.Context, a Address) (checksum string, err error) {
	s, q, err := locate(a.Source, f.AllowHTTP)
	if err == nil {
		s.url.RawQuery = q.Encode()
		checksum, err = f.sumOf(ctx, s)
	}
	if err != nil {
		return "", fmt.Errorf("cannot fetch %s: %w", a, err)
	}
	return checksum, nil
}

func (f *Fetcher) sumOf(ctx context.Context, s source) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, f.limit.time, fmt.Errorf("it took longer than %s", f.limit.time))
	defer cancel()
	client, err := f.client()
	if err != nil {
		return "", err
	}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url.String(), nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		err = failed.Err // without the URL, which the reader knows
	}
	if err != nil {
		return "", errors.Join(context.Cause(ctx), err)
	}
	defer func() { _ = resp.Body.Close() }() // opened for reading only
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the server answers %d", resp.StatusCode)
	}
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(resp.Body, f.limit.download+1))
	switch {
	case err != nil:
		return "", err
	case n > f.limit.download:
		return "", fmt.Errorf("it is larger than %d MiB", f.limit.download>>20)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

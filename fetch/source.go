package fetch

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// source is what is fetched, and how it is known to be the right thing.
type source struct {
	url    *url.URL // without go-getter's parameters and the folder within
	format string
	sum    string // of a file or archive its SHA-256, of git the commit: lower-case hexadecimal digits
	subdir string // the folder or file within that is meant; "" for all
}

const (
	formatFile = ""
	formatGit  = "git"
	formatTar  = "tar"
	formatTgz  = "tar.gz"
	formatZip  = "zip"
)

var (
	sha256Sum  = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	fullCommit = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	forced     = regexp.MustCompile(`^([A-Za-z0-9]+)::(.+)$`)
	// hostName leaves nothing out that two programs could read differently: no escapes, no dot at the end, and, since
	// "127.1" and "0x7f.1" are names to one and numbers to another, no digit where the last part begins.
	hostName = regexp.MustCompile(`^([A-Za-z0-9_-]+\.)*[A-Za-z][A-Za-z0-9-]*$`)
	// packed are file names that look like an archive's or a packed file's which is not unpacked here.
	packed = regexp.MustCompile(`\.(tar\.[a-z0-9]+|t[bx]z2?|tzst|gz|bz2|xz|zst|7z|rar)$`)
)

// key is the name of s in the cache. The same bytes unpacked as one or another format may be different folders.
func (s source) key() string {
	if s.format == formatFile {
		return s.sum
	}
	return s.sum + "." + s.format
}

// parse reads a source in go-getter's notation: "https://host/path//folder?archive=zip", "git::https://host/path?ref=…".
func parse(text, checksum string, allowHTTP bool) (source, error) {
	s, q, err := locate(text, allowHTTP)
	if err != nil {
		return source{}, err
	}
	if s.format == formatGit {
		s.sum, err = commit(q, checksum)
	} else {
		s.sum, err = sum(checksum)
	}
	if err != nil {
		return source{}, err
	}
	s.url.RawQuery = q.Encode()
	return s, nil
}

// locate reads where a source is and what is made of it, but not what it is checked by. The query is what is left of the
// URL's: for git it may still have a ref.
func locate(text string, allowHTTP bool) (source, url.Values, error) {
	getter, rest := "", text
	if m := forced.FindStringSubmatch(text); m != nil {
		getter, rest = m[1], m[2]
	}
	u, err := url.Parse(rest)
	const forms = "write it as https://HOST/PATH, or for a git repository as git::https://HOST/PATH"
	switch {
	case err != nil || u.Opaque != "":
		return source{}, nil, errors.New("it is not a URL: " + forms)
	case getter != "" && getter != formatGit:
		return source{}, nil, fmt.Errorf("%s:: is not taken: %s", getter, forms)
	case u.Scheme == "http" && !allowHTTP:
		return source{}, nil, errors.New("http:// can be read and changed on its way: write https://")
	case u.Scheme != "https" && u.Scheme != "http":
		return source{}, nil, errors.New("only https:// is taken: " + forms)
	case u.Hostname() == "":
		return source{}, nil, errors.New("it names no host: " + forms)
	case !hostName.MatchString(u.Hostname()) && !isAddress(u.Hostname()):
		return source{}, nil, fmt.Errorf("%q is not the name or address of a host", u.Hostname())
	case u.User != nil:
		return source{}, nil, errors.New("it holds a user or password, which everybody who has the lab would know: take it out")
	}
	s := source{url: u}
	u.Fragment, u.RawFragment = "", ""
	if s.subdir, err = cutSubdir(u); err != nil {
		return source{}, nil, err
	}
	q := u.Query()
	for _, name := range []string{"checksum", "filename", "sshkey", "depth"} {
		if q.Has(name) {
			return source{}, nil, fmt.Errorf("the parameter %s is not taken: take it out, and write the sum as checksum", name)
		}
	}
	if getter == formatGit {
		s.format = formatGit
	} else if s.format, err = format(u, q); err != nil {
		return source{}, nil, err
	}
	if s.format == formatFile && s.subdir != "" {
		return source{}, nil, fmt.Errorf("it is a single file, in which there is no %q; an archive is known by its name, or by ?archive=tar.gz", s.subdir)
	}
	return s, q, nil
}

func isAddress(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.Zone() == ""
}

// cutSubdir takes what stands behind "//" off the URL's path.
func cutSubdir(u *url.URL) (string, error) {
	path, sub, found := strings.Cut(u.Path, "//")
	if !found {
		return "", nil
	}
	u.Path, u.RawPath = path, ""
	sub = filepath.Clean(strings.Trim(sub, "/"))
	if sub == "." {
		return "", nil
	}
	if !filepath.IsLocal(sub) {
		return "", fmt.Errorf("%q behind // leads out of what is fetched", sub)
	}
	return sub, nil
}

func sum(checksum string) (string, error) {
	checksum = strings.ToLower(checksum)
	switch {
	case checksum == "":
		return "", errors.New(`it needs a checksum: write "sha256:" and what sha256sum prints for the file that you looked at`)
	case !sha256Sum.MatchString(checksum):
		return "", fmt.Errorf(`%q is not a checksum of a file: write "sha256:" and the 64 digits that sha256sum prints for it`, checksum)
	}
	return strings.TrimPrefix(checksum, "sha256:"), nil
}

// commit is what a git source is checked by. git itself verifies that what it gets has this name.
func commit(q url.Values, checksum string) (string, error) {
	const how = `write the whole commit, as git rev-parse prints it: checksum = "commit:…"`
	name, given := strings.CutPrefix(strings.ToLower(checksum), "commit:")
	ref := strings.ToLower(q.Get("ref"))
	q.Del("ref")
	switch {
	case checksum != "" && !given:
		return "", errors.New("a git repository is checked by its commit, not by a sum: " + how)
	case ref != "" && !fullCommit.MatchString(ref):
		return "", fmt.Errorf("ref=%s may be another commit tomorrow: %s", ref, how)
	case given && !fullCommit.MatchString(name):
		return "", fmt.Errorf("%q is not a whole commit: %s", name, how)
	case ref != "" && given && ref != name:
		return "", fmt.Errorf("the source says ref=%s, and the checksum commit:%s: take one of them out", ref, name)
	case ref == "" && !given:
		return "", errors.New("it needs a commit: " + how)
	case ref != "":
		return ref, nil
	}
	return name, nil
}

// format is what is downloaded, by the parameter archive or else by its name.
func format(u *url.URL, q url.Values) (string, error) {
	const known = "tar, tar.gz, tgz and zip are unpacked"
	if said := q.Get("archive"); said != "" {
		q.Del("archive")
		switch said {
		case formatTar, formatTgz, formatZip:
			return said, nil
		case "tgz":
			return formatTgz, nil
		}
		if unpack, err := strconv.ParseBool(said); err == nil && !unpack {
			return formatFile, nil
		}
		return "", fmt.Errorf("archive=%s is not known: %s", said, known)
	}
	switch name := strings.ToLower(u.Path); {
	case strings.HasSuffix(name, ".tar.gz"), strings.HasSuffix(name, ".tgz"):
		return formatTgz, nil
	case strings.HasSuffix(name, ".tar"):
		return formatTar, nil
	case strings.HasSuffix(name, ".zip"):
		return formatZip, nil
	case packed.MatchString(name):
		return "", fmt.Errorf("%s cannot be unpacked: %s; archive=false takes it as it is", packed.FindString(name), known)
	}
	return formatFile, nil
}

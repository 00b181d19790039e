package image

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// npmDefault is the registry of a user who has not configured another.
const npmDefault = "https://registry.npmjs.org/"

// npmRegistry is the registry that npm would use: that of the environment, else of the user's .npmrc, else of the host's.
// A .npmrc of the lab is not read: a lab does not say where to connect to.
func npmRegistry(environ []string, home, root string) (*url.URL, error) {
	set := map[string]string{}
	for _, v := range environ {
		if name, value, _ := strings.Cut(v, "="); len(name) > 11 && strings.EqualFold(name[:11], "npm_config_") && value != "" {
			set[strings.ToLower(name[11:])] = value
		}
	}
	from, where := set["registry"], "the environment"
	for _, name := range []string{
		cmp.Or(set["userconfig"], filepath.Join(home, ".npmrc")), cmp.Or(set["globalconfig"], filepath.Join(root, "usr/local/etc/npmrc")),
		filepath.Join(root, "usr/etc/npmrc"), filepath.Join(root, "etc/npmrc"),
	} {
		if from == "" {
			from, where = setting(name, "registry"), name
		}
	}
	if from == "" {
		from, where = npmDefault, "npm's default"
	}
	u, err := url.Parse(os.Expand(from, os.Getenv))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, fmt.Errorf("npm's registry, from %s, is no http address", where)
	}
	return u, nil
}

// setting reads one setting of an npmrc; a file that cannot be read has none.
func setting(file, name string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	value := ""
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		if key, v, ok := strings.Cut(lines.Text(), "="); ok && strings.TrimSpace(key) == name {
			value = strings.Trim(strings.TrimSpace(v), `"'`)
		}
	}
	return value
}

// npmTarballs gets packages out of the cache or from a registry. In the cache a tarball's name is its sum.
type npmTarballs struct {
	dir      string
	registry *url.URL
	client   *http.Client
	retry    time.Duration // before the second try; then twice as long
}

const (
	mostTarball  = 256 << 20 // bytes
	npmTries     = 3
	npmDownloads = 8 // side by side
)

// tarballs returns the cache's npm packages, which are one entry.
func (c *Cache) tarballs(ctx context.Context, say Say) (*npmTarballs, error) {
	registry, err := npmRegistry(os.Environ(), os.Getenv("HOME"), "/")
	if err != nil {
		return nil, err
	}
	const only = "6e706d0000000000000000000000000000000000000000000000000000000000" // there is one of its kind
	dir, _, err := c.Make(ctx, KindTarballs, only, "npm packages", say, func(string) error { return nil })
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true
	transport.ResponseHeaderTimeout = time.Minute
	return &npmTarballs{dir: dir, registry: registry, client: &http.Client{Transport: transport}, retry: time.Second}, nil
}

// fetch brings all packages into the cache.
func (n *npmTarballs) fetch(ctx context.Context, all []npmPackage, say Say) error {
	group, joint := errgroup.WithContext(ctx)
	group.SetLimit(npmDownloads)
	var got, size atomic.Int64
	began, told := time.Now(), time.Now()
	for _, p := range all {
		if now := time.Now(); now.Sub(told) >= progressEvery {
			say("%d of %d npm packages are here, %.0f s so far", got.Load(), len(all), now.Sub(began).Seconds())
			told = now
		}
		if joint.Err() != nil {
			break
		}
		if p.link != "" {
			continue
		}
		group.Go(func() error {
			data, fresh, err := n.get(joint, p)
			if err != nil {
				return fmt.Errorf("cannot get the npm package %s %s: %w", p.name, p.version, err)
			}
			got.Add(1)
			if fresh {
				size.Add(int64(len(data)))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if size.Load() > 0 {
		say("downloaded npm packages of %.1f MB in %.1f s", float64(size.Load())/1e6, time.Since(began).Seconds())
	}
	return ctx.Err()
}

// get returns a package's tarball, whose sum is right, and whether it was downloaded now.
func (n *npmTarballs) get(ctx context.Context, p npmPackage) (data []byte, fresh bool, err error) {
	name := filepath.Join(n.dir, p.sha512+".tgz")
	if data, err := os.ReadFile(name); err == nil && sha512Hex(data) == p.sha512 {
		return data, false, nil
	}
	from := n.registry.JoinPath(p.name, "-", p.file)
	wait := n.retry
	for try := 1; ; try++ {
		var again bool
		if data, again, err = n.download(ctx, from); err == nil {
			break
		}
		if !again || try == npmTries {
			return nil, false, err
		}
		select {
		case <-ctx.Done():
			return nil, false, ctx.Err()
		case <-time.After(wait):
			wait *= 2
		}
	}
	if sum := sha512Hex(data); sum != p.sha512 {
		return nil, false, fmt.Errorf("%s is not what package-lock.json says: its sha512 is %s…, not %s…", from.Redacted(), sum[:12], p.sha512[:12])
	}
	tmp, err := os.CreateTemp(n.dir, "download-")
	if err != nil {
		return nil, false, err
	}
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		return nil, false, errors.Join(err, os.Remove(tmp.Name()))
	}
	return data, true, nil
}

// download reads an address once, and says whether another try may help.
func (n *npmTarballs) download(ctx context.Context, from *url.URL) (data []byte, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from.String(), nil)
	if err != nil {
		return nil, false, err
	}
	resp, err := n.client.Do(req)
	if err != nil {
		return nil, true, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests, fmt.Errorf("%s answers %s", from.Redacted(), resp.Status)
	}
	data, err = io.ReadAll(io.LimitReader(resp.Body, mostTarball+1))
	if err != nil {
		return nil, true, err
	}
	if len(data) > mostTarball {
		return nil, false, fmt.Errorf("%s has more than %d MiB", from.Redacted(), mostTarball>>20)
	}
	return data, false, nil
}

func sha512Hex(data []byte) string {
	sum := sha512.Sum512(data)
	return hex.EncodeToString(sum[:])
}

package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"

	getter "github.com/hashicorp/go-getter/v2"
)

// maxRedirects is how often a server may send on; release pages of the large forges need two.
const maxRedirects = 5

// download writes what lies at the URL of s to the file dst, if it has the sum of s.
func (f *Fetcher) download(ctx context.Context, s source, dst string) error {
	client, err := f.client()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	u := *s.url
	q := u.Query()
	q.Set("checksum", "sha256:"+s.sum) // go-getter verifies it, and does not send it
	u.RawQuery = q.Encode()
	g := getter.Client{
		// All three are for what is left out to stay out: nil stands for go-getter's defaults, which are everything.
		Getters: []getter.Getter{&getter.HttpGetter{
			Client: client, DoNotCheckHeadFirst: true, XTerraformGetDisabled: true,
			MaxBytes: f.limit.download + 1, // it cuts off without an error: one byte more tells
		}},
		Decompressors:   map[string]getter.Decompressor{},
		DisableSymlinks: true,
	}
	_, err = g.Get(ctx, &getter.Request{Src: u.String(), Dst: dst, GetMode: getter.ModeFile, DisableSymlinks: true, Umask: 0o022})
	if st, missing := os.Stat(dst); missing == nil && st.Size() > f.limit.download {
		return fmt.Errorf("it is larger than %d MiB", f.limit.download>>20)
	}
	var differs *getter.ChecksumError
	if errors.As(err, &differs) {
		return fmt.Errorf(`the file's sha256 is another one; if it is what you meant, write checksum = "sha256:%s"`, hex.EncodeToString(differs.Actual))
	}
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err // without the URL, which the reader knows
	}
	return err
}

// client is an HTTP client that takes nothing from the environment.
func (f *Fetcher) client() (*http.Client, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(f.CA) > 0 {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(f.CA) {
			return nil, errors.New("the certificate authority is not in PEM")
		}
	}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // not the environment's: the addresses could not be checked behind one
			DialContext:            f.dialer().DialContext,
			TLSClientConfig:        conf,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // the sum is that of the file as it lies there, and so is the bound
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			switch {
			case len(via) > maxRedirects:
				return fmt.Errorf("the server sends on more than %d times", maxRedirects)
			case req.URL.Scheme != "https" && (req.URL.Scheme != "http" || !f.AllowHTTP):
				return fmt.Errorf("the server sends on to %s, and only https:// is taken", req.URL.Redacted())
			}
			req.Header.Del("Referer") // the source may have a secret in its query
			return nil
		},
	}, nil
}

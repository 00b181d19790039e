package image

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

// registry serves one image whose only layer is the given tar, as an OCI registry does. It returns the reference.
func registry(t *testing.T, layer []byte) string {
	t.Helper()
	blobs := map[string][]byte{}
	put := func(data []byte) map[string]any {
		sum := sha256.Sum256(data)
		digest := "sha256:" + hex.EncodeToString(sum[:])
		blobs[digest] = data
		return map[string]any{"digest": digest, "size": len(data)}
	}
	encode := func(v any) []byte {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	const manifestType = "application/vnd.oci.image.manifest.v1+json"
	plain := put(layer)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(layer); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	blob := put(packed.Bytes())
	blob["mediaType"] = "application/vnd.oci.image.layer.v1.tar+gzip"
	config := put(encode(map[string]any{
		"architecture": "amd64", "os": "linux", "config": map[string]any{"Entrypoint": []string{"/app"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []any{plain["digest"]}},
	}))
	config["mediaType"] = "application/vnd.oci.image.config.v1+json"
	manifest := put(encode(map[string]any{"schemaVersion": 2, "mediaType": manifestType, "config": config, "layers": []any{blob}}))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, ok := blobs[r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]]
		switch {
		case r.URL.Path == "/v2/":
		case !ok:
			http.NotFound(w, r)
		default:
			if strings.Contains(r.URL.Path, "/manifests/") {
				w.Header().Set("Content-Type", manifestType)
			}
			_, _ = w.Write(data)
		}
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	conf := filepath.Join(t.TempDir(), "registries.conf")
	write(t, conf, "[[registry]]\nlocation = \""+host+"\"\ninsecure = true\n")
	t.Setenv("CONTAINERS_REGISTRIES_CONF", conf)
	return host + "/it@" + manifest["digest"].(string)
}

func TestRealOCI(t *testing.T) {
	c, say := realCache(t), saying(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "app", "main.go"), "package main\n\nfunc main() { println(\"pulled\") }\n")
	p, err := c.newGoImage(lab.Image{Go: "app"}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.key(t.Context()); err != nil {
		t.Fatal(err)
	}
	tmp := t.TempDir()
	if _, err := p.build(t.Context(), tmp, t.Output(), say); err != nil {
		t.Fatal(err)
	}
	b, err := c.Build(t.Context(), lab.Image{Name: "it", OCI: registry(t, read(t, filepath.Join(tmp, tarName)))}, Service, dir, say)
	if err != nil {
		t.Fatal(err)
	}
	root, err := c.ServiceStore(t.Context(), []Built{b}, say)
	if err != nil {
		t.Fatal(err)
	}
	if out := readOnlyStore(t, root, "run", "--rm", "--network=none", "--cgroups=disabled", "localhost/it:latest"); out != "pulled\n" {
		t.Errorf("it printed %q", out)
	}
	_, err = c.Build(t.Context(), lab.Image{Name: "no", OCI: "127.0.0.1:1/it@sha256:" + strings.Repeat("0", 64)}, Service, dir, say)
	if err == nil || !strings.Contains(err.Error(), "cannot pull 127.0.0.1:1/it@sha256:") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("no registry: %v", err)
	}
}

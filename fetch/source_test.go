package fetch

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
)

const (
	someSum    = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	someCommit = "0123456789abcdef0123456789abcdef01234567"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]source{
		"https://example.test/a.hcl":                                  {sum: someSum[7:]},
		"https://example.test/a.tar.gz//in/it?x=1":                    {sum: someSum[7:], format: formatTgz, subdir: "in/it"},
		"https://[2001:db8::1]/a?archive=zip":                         {sum: someSum[7:], format: formatZip},
		"git::https://example.test/a.git//in?ref=" + someCommit:       {sum: someCommit, format: formatGit, subdir: "in"},
		"git::https://example.test:8443/a.git//in/?ref=" + someCommit: {sum: someCommit, format: formatGit, subdir: "in"},
	} {
		sum := someSum
		if want.format == formatGit {
			sum = ""
		}
		got, err := parse(text, sum, false)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if strings.Contains(got.url.Path, "//") || got.url.Query().Has("ref") || got.url.Query().Has("archive") {
			t.Errorf("%s: would ask for %s", text, got.url)
		}
		got.url = nil
		if got != want {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

func TestRefusedSources(t *testing.T) {
	f := New(t.TempDir(), slog.New(slog.DiscardHandler))
	for _, c := range []struct{ source, sum, want string }{
		{"/etc/passwd", someSum, "only https:// is taken"},
		{"file:///etc/passwd", someSum, "only https:// is taken"},
		{"git::file:///srv/repo", "commit:" + someCommit, "only https:// is taken"},
		{"git::ssh://git@example.test/a", "commit:" + someCommit, "only https:// is taken"},
		{"git@example.test:a/b.git", someSum, "not a URL"},
		{"github.com/saigen-lab/saigen", someSum, "write it as https://HOST/PATH"},
		{"s3::https://s3.example.test/a", someSum, "s3:: is not taken"},
		{"hg::https://example.test/a", someSum, "hg:: is not taken"},
		{"http://example.test/a", someSum, "write https://"},
		{"git::http://example.test/a", someSum, "write https://"},
		{"https:///a", someSum, "names no host"},
		{"https://me:secret@example.test/a", someSum, "user or password"},
		{"https://example.test./a", someSum, "not the name or address of a host"},
		{"https://127.1/a", someSum, "not the name or address of a host"},
		{"git::https://0x7f.0x1/a", "commit:" + someCommit, "not the name or address of a host"},
		{"https://example.test/a?checksum=file:https://example.test/sums", someSum, "parameter checksum is not taken"},
		{"https://example.test/a?filename=../b", someSum, "parameter filename is not taken"},
		{"git::https://example.test/a?sshkey=abc", someSum, "parameter sshkey is not taken"},
		{"https://example.test/a.tar//../../etc", someSum, "leads out"},
		{"https://example.test/a.hcl//b", someSum, "single file"},
		{"https://example.test/a.tar.xz", someSum, ".tar.xz cannot be unpacked"},
		{"https://example.test/a?archive=rar", someSum, "archive=rar is not known"},
		{"https://example.test/a", "", "needs a checksum"},
		{"https://example.test/a", "sha256:12", "not a checksum of a file"},
		{"https://example.test/a", "md5:d41d8cd98f00b204e9800998ecf8427e", "not a checksum of a file"},
		{"git::https://example.test/a", "", "needs a commit"},
		{"git::https://example.test/a", someSum, "checked by its commit"},
		{"git::https://example.test/a?ref=main", "", "may be another commit tomorrow"},
		{"git::https://example.test/a?ref=main", "commit:" + someCommit, "may be another commit tomorrow"},
		{"git::https://example.test/a?ref=v1.0.0", "", "may be another commit tomorrow"},
		{"git::https://example.test/a?ref=0123456", "", "may be another commit tomorrow"},
		{"git::https://example.test/a", "commit:0123456", "not a whole commit"},
		{"git::https://example.test/a?ref=" + someCommit, "commit:" + strings.Repeat("0", 40), "take one of them out"},
		{"https://127.0.0.1/a", someSum, "this host itself"},
		{"https://localhost/a", someSum, "this host itself"},
		{"https://[::1]/a", someSum, "this host itself"},
		{"https://[::ffff:127.0.0.1]/a", someSum, "this host itself"},
		{"https://169.254.169.254/latest/meta-data", someSum, "link-local"},
		{"git::https://127.0.0.1/a", "commit:" + someCommit, "this host itself"},
		{"git::https://localhost/a", "commit:" + someCommit, "this host itself"},
		{"git::https://169.254.169.254/a", "commit:" + someCommit, "link-local"},
	} {
		_, err := f.Get(t.Context(), c.source, c.sum)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "cannot fetch ") {
			t.Errorf("%s, %s: error %v, want one that says %q", c.source, c.sum, err, c.want)
		}
	}
}

func TestAddresses(t *testing.T) {
	f := New(t.TempDir(), nil)
	for _, a := range []string{
		"127.0.0.1", "127.8.8.8", "0.0.0.0", "0.1.2.3", "::", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "169.254.169.254",
		"fe80::1", "fe80::1%eth0", "100.100.100.200", "fd00:ec2::254", "192.0.0.192", "224.0.0.1", "ff02::1", "255.255.255.255",
	} {
		if f.allowed(netip.MustParseAddr(a)) == nil {
			t.Errorf("%s is allowed", a)
		}
	}
	for _, a := range []string{"192.0.2.1", "10.1.2.3", "2001:db8::1", "fd12::1", "64:ff9b::c000:201"} {
		if err := f.allowed(netip.MustParseAddr(a)); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	f.Public = true
	for _, a := range []string{"10.1.2.3", "172.16.0.1", "192.168.1.1", "fd12::1", "100.64.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1"} {
		if f.allowed(netip.MustParseAddr(a)) == nil {
			t.Errorf("%s is allowed to a fetched lab", a)
		}
	}
	if err := f.allowed(netip.MustParseAddr("192.0.2.1")); err != nil {
		t.Error(err)
	}
}

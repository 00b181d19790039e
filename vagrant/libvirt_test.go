package vagrant

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// lateVirsh is a libvirt that is still at work on what a Vagrant had asked that was killed: nobody sees the domain at first.
const lateVirsh = `
cd "$(dirname "$0")"
while [ "${1#-}" != "$1" ]; do [ "$1" = --connect ] && shift; shift; done
echo "$@" >> asked
case "$1" in
list) [ ! -e looked ] || [ -e undefined ] || echo saigen-r1-0_server; touch looked;;
undefine) touch undefined;;
esac
`

func TestDomainThatComesLate(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "virsh"), []byte("#!/bin/sh\n"+lateVirsh), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	e := &environment{Name: "saigen-r1-0", Libvirt: &libvirtState{URI: "test:///default"}}
	if err := (libvirt{}).close(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	asked, err := os.ReadFile(filepath.Join(dir, "asked"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(asked), "destroy saigen-r1-0_server") || !strings.Contains(string(asked), "undefine saigen-r1-0_server") {
		t.Errorf("the domain was not removed:\n%s", asked)
	}
}

package image

import (
	"archive/tar"
	"bytes"
	"path"
	"slices"
	"time"
)

// file is one thing that saigen puts into an image: a folder when the name ends in a slash, a symlink when link is set.
type file struct {
	name string
	mode int64
	data []byte
	link string
}

// archive packs files for root, with the same bytes for the same files.
func archive(files []file, when time.Time) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: f.mode, ModTime: when, Size: int64(len(f.data)), Typeflag: tar.TypeReg, Format: tar.FormatPAX}
		switch {
		case f.link != "":
			h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.link, 0o777
		case f.name[len(f.name)-1] == '/':
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

const hosts = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"

// agentUnit starts saigen's agent where a driver has brought it in. A command that the agent runs for root is its
// child, so an agent that starts again must not kill it (KillMode), and may sort its children into cgroups (Delegate).
const agentUnit = `[Unit]
Description=saigen agent
ConditionPathExists=/usr/lib/saigen/saigen
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=/usr/lib/saigen/saigen guest agent --socket /run/saigen-host/agent.sock
Restart=on-failure
RestartSec=100ms
KillMode=process
Delegate=yes
TasksMax=infinity
OOMScoreAdjust=-900

[Install]
WantedBy=multi-user.target
`

// masked are units that have no place in a machine that lives for minutes, has no way out and nobody at its console. One whose
// clock steps by days when it goes on from a snapshot would remove files of /tmp for their age in the middle of an arm.
var masked = []string{
	"apt-daily.service", "apt-daily.timer", "apt-daily-upgrade.service", "apt-daily-upgrade.timer",
	"dpkg-db-backup.service", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer",
	"getty.target", "man-db.timer", "podman-auto-update.service", "podman-auto-update.timer",
	"systemd-firstboot.service", "systemd-networkd-wait-online.service", "systemd-tmpfiles-clean.timer",
}

// hostsOwn are units that change the kernel. In a system container that is the kernel of the host, which must stay as
// it is; in a VM they run.
var hostsOwn = []string{
	"modprobe@.service", "proc-sys-fs-binfmt_misc.automount", "systemd-binfmt.service", "systemd-modules-load.service",
	"systemd-sysctl.service",
}

// restartUnit: Debian starts podman at every boot to see whether root has containers to restart. It need not look
// where root never had any.
const restartUnit = "[Unit]\nConditionPathExists=/var/lib/containers/storage\n"

const notInContainer = "[Unit]\nConditionVirtualization=!container\n"

// files is the archive of what saigen adds to a Debian image.
func (d *debian) files() ([]byte, error) {
	all := []file{
		{name: "etc/hosts", mode: 0o644, data: []byte(hosts)},
		{name: "etc/resolv.conf", mode: 0o644}, // whoever runs the image fills it
	}
	if d.role == Machine {
		all = append(all,
			// Empty: every boot makes its own, and no boot is a "first boot" that would reset which units are enabled.
			file{name: "etc/machine-id", mode: 0o444},
			file{name: "etc/systemd/system/saigen-agent.service", mode: 0o644, data: []byte(agentUnit)},
			file{name: "etc/systemd/system/multi-user.target.wants/saigen-agent.service", link: "/etc/systemd/system/saigen-agent.service"},
			file{name: "etc/systemd/system/podman-restart.service.d/saigen.conf", mode: 0o644, data: []byte(restartUnit)},
			file{name: "usr/lib/saigen/", mode: 0o755},        // the driver brings the agent in here,
			file{name: "var/lib/saigen/images/", mode: 0o755}, // and the services' images here
			file{name: "etc/systemd/system/default.target", link: "/lib/systemd/system/multi-user.target"},
		)
		for _, unit := range masked {
			all = append(all, file{name: path.Join("etc/systemd/system", unit), link: "/dev/null"})
		}
		for _, unit := range hostsOwn {
			all = append(all, file{name: path.Join("etc/systemd/system", unit+".d", "saigen.conf"), mode: 0o644, data: []byte(notInContainer)})
		}
	}
	slices.SortFunc(all, func(a, b file) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })
	return archive(all, time.Unix(0, 0))
}

package faults

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// PackageRemove removes Debian packages, as apt-get remove does: dpkg runs their scripts and takes their files away, and what runs goes
// on. The packages are those that nobody else depends on; what others only recommend is what people lose with
// apt-get --no-install-recommends or autoremove.
//
// A machine has no archive to install a package from again. So each is first made into a .deb out of its installed files, its scripts and
// dpkg's record of it, in /var/lib/saigen-faults/packages/NAME.deb: what dpkg -i of it installs is what there was, except for files
// that the machine never had (images are made without documentation). A remedy installs it from there.
//
// In force: dpkg has none of the packages installed. Healing installs those that are missing.
type PackageRemove struct {
	// The machine to remove them from.
	Machine lab.MachineRef `hcl:"machine" json:"machine"`
	// The names of the packages.
	Packages []string `hcl:"packages" json:"packages"`
}

// packagesFolder is where the removed packages are, each as a .deb.
const packagesFolder = folder + "/packages"

// packageName is Debian policy 5.6.1.
var packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)

// Check implements lab.Checker.
func (f *PackageRemove) Check() []lab.Problem {
	if len(f.Packages) == 0 {
		return []lab.Problem{{Attr: "packages", Summary: "no packages",
			Detail: "Without a package this fault does nothing. Name at least one that is installed in the machine."}}
	}
	var out []lab.Problem
	for i, p := range f.Packages {
		switch {
		case !packageName.MatchString(p):
			out = append(out, lab.Problem{Attr: "packages", Summary: "not the name of a package",
				Detail: fmt.Sprintf("%q cannot be the name of a Debian package: lower-case letters, digits, +, - and . make one, and neither a version nor a suite belongs to it.", p)})
		case slices.Contains(f.Packages[:i], p):
			out = append(out, lab.Problem{Attr: "packages", Summary: "a package is named twice",
				Detail: fmt.Sprintf("%q can be removed only once. Leave it out the second time.", p)})
		}
	}
	return out
}

// packagesEvidence is what Inject leaves in the machine.
type packagesEvidence struct {
	Versions map[string]string `json:"versions"` // of the packages as they were
}

func (f *PackageRemove) evidence() string { return "package_remove-" + strings.Join(f.Packages, "-") }

func savedPackage(name string) string { return packagesFolder + "/" + name + ".deb" }

// Inject implements lab.Breaker.
func (f *PackageRemove) Inject(ctx context.Context, env lab.Env) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	e := packagesEvidence{Versions: map[string]string{}}
	for _, name := range f.Packages {
		version, err := installed(ctx, m, name)
		if err != nil {
			return err
		}
		if version == "" {
			return fmt.Errorf("cannot remove package %s: it is not installed on %s; is it in the image's packages?", name, f.Machine)
		}
		if _, err := do(ctx, m, "", "sh", "-c", savePackage, "sh", name, savedPackage(name)); err != nil {
			return fmt.Errorf("cannot keep package %s: %w", name, err)
		}
		e.Versions[name] = version
	}
	if err := keep(ctx, m, f.evidence(), e); err != nil {
		return err
	}
	for _, name := range f.Packages {
		env.Say("package %s %s is removed", name, e.Versions[name])
	}
	_, err = do(ctx, m, "", append([]string{"dpkg", "--remove"}, f.Packages...)...)
	return err
}

// savePackage makes package $1 into the file $2. A name in the package that is a link to a folder on the disk (/lib on a merged /usr) is a
// folder in the package.
const savePackage = `set -eu
mkdir -p "${2%/*}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/DEBIAN"
dpkg-query --listfiles "$1" | grep '^/[^.]' | while IFS= read -r path; do
	if [ -d "$path" ] && ! { [ -L "$path" ] && ! dpkg-query --listfiles "$1" | grep -qF "$path/"; }; then
		mkdir -p "$work$path"
		chown --reference="$path" "$work$path"
		chmod --reference="$path" "$work$path"
	elif [ -e "$path" ] || [ -L "$path" ]; then
		mkdir -p "$(dirname "$work$path")"
		cp -a "$path" "$work$path"
	fi
done
dpkg-query --status "$1" | awk '/^[^ ]/ { skip = /^(Status|Conffiles|Config-Version):/ } !skip' > "$work/DEBIAN/control"
for name in $(dpkg-query --control-list "$1"); do
	if [ "$name" != conffiles ]; then cp -a "$(dpkg-query --control-path "$1" "$name")" "$work/DEBIAN/$name"; fi
done
dpkg-query --show --showformat='${Conffiles}\n' "$1" | awk '/^ / { print $1 }' | while IFS= read -r path; do
	if [ -e "$work$path" ]; then printf '%s\n' "$path" >> "$work/DEBIAN/conffiles"; fi
done
dpkg-deb -Znone --build "$work" "$2.new"
mv "$2.new" "$2"
`

// installed is the version of a package that is installed, and empty when it is not: of a removed one dpkg may still have the settings.
func installed(ctx context.Context, m lab.Running, name string) (string, error) {
	r, err := try(ctx, m, "", "dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", name)
	if err != nil {
		return "", err
	}
	state, version, _ := strings.Cut(strings.TrimSpace(string(r.Stdout)), " ")
	if r.Code != 0 || state != "installed" {
		return "", nil
	}
	return version, nil
}

// Verify implements lab.Breaker.
func (f *PackageRemove) Verify(ctx context.Context, env lab.Env) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	var e packagesEvidence
	if err := kept(ctx, m, f.evidence(), &e); err != nil {
		return err
	}
	for _, name := range f.Packages {
		version, err := installed(ctx, m, name)
		if err != nil {
			return err
		}
		if version != "" || e.Versions[name] == "" {
			return fmt.Errorf("cannot confirm package_remove: package %s %s is installed", name, version)
		}
	}
	return nil
}

// Heal implements lab.Breaker.
func (f *PackageRemove) Heal(ctx context.Context, env lab.Env) error {
	m, err := env.Machine(f.Machine)
	if err != nil {
		return err
	}
	var e packagesEvidence
	if err := kept(ctx, m, f.evidence(), &e); err != nil {
		if failed := (*lab.ExitError)(nil); errors.As(err, &failed) {
			return nil // nothing was removed
		}
		return err
	}
	argv := []string{"dpkg", "--install", "--force-confold"}
	missing := 0
	for _, name := range f.Packages {
		version, err := installed(ctx, m, name)
		if err != nil {
			return err
		}
		if version == "" {
			argv = append(argv, savedPackage(name))
			missing++
		}
	}
	if missing == 0 {
		return nil
	}
	_, err = do(ctx, m, "", argv...)
	return err
}

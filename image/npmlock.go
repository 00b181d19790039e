package image

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// npmLock is a package-lock.json of version 2 or 3, as far as saigen needs it. The format is documented at
// https://docs.npmjs.com/cli/configuring-npm/package-lock-json.
type npmLock struct {
	Version  int                  `json:"lockfileVersion"`
	Packages map[string]npmLocked `json:"packages"` // by folder; "" is the project itself
}

// npmLocked is one package of the lock.
type npmLocked struct {
	npmDependencies
	Name          string            `json:"name"` // where it is not the folder's
	Version       string            `json:"version"`
	Resolved      string            `json:"resolved"`
	Integrity     string            `json:"integrity"`
	Link          bool              `json:"link"`
	InBundle      bool              `json:"inBundle"`
	Optional      bool              `json:"optional"`
	HasScript     bool              `json:"hasInstallScript"`
	Bin           map[string]string `json:"bin"`
	OS, CPU, Libc npmList
}

// npmDependencies are what a package.json and the lock's record of it must agree on.
type npmDependencies struct {
	Dependencies         map[string]string `json:"dependencies"`
	DevDependencies      map[string]string `json:"devDependencies"`
	OptionalDependencies map[string]string `json:"optionalDependencies"`
	PeerDependencies     map[string]string `json:"peerDependencies"`
}

// npmList is a list of words, which may be written as one.
type npmList []string

func (l *npmList) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*l = npmList{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(l))
}

// allows says whether a package that lists where it runs runs where the value is true, as npm-install-checks does.
func (l npmList) allows(value string) bool {
	negated, match := 0, false
	for _, word := range l {
		if not, ok := strings.CutPrefix(word, "!"); ok {
			if negated++; not == value {
				return false
			}
			continue
		}
		match = match || word == value || word == "any"
	}
	return match || negated == len(l)
}

// runs says whether a package runs on the machines that saigen makes.
func (p npmLocked) runs() bool {
	cpu := map[string]string{"amd64": "x64", "386": "ia32"}[runtime.GOARCH]
	if cpu == "" {
		cpu = runtime.GOARCH
	}
	return p.OS.allows("linux") && p.CPU.allows(cpu) && p.Libc.allows("glibc")
}

// npmPackage is one package to install.
type npmPackage struct {
	folder  string // in the project: "node_modules/vue"
	name    string
	version string
	file    string // of the tarball, in the registry
	sha512  string // of the tarball, hex
	link    string // folder of the project that it is instead of a tarball
	bin     map[string]string
	script  bool // it has an install script, which is not run
}

// direct says whether one of the lab's own package.json asks for the package, and not another package only. projects
// are by folder: the project itself, and its workspaces.
func (p npmPackage) direct(projects map[string]npmDependencies) bool {
	at := strings.LastIndex(p.folder, "node_modules/")
	asked, ok := projects[strings.TrimSuffix(p.folder[:at], "/")]
	if !ok {
		return false
	}
	for _, group := range []map[string]string{asked.Dependencies, asked.DevDependencies, asked.OptionalDependencies} {
		if _, ok := group[p.folder[at+len("node_modules/"):]]; ok {
			return true
		}
	}
	return false
}

// readNPMLock reads what is to be installed, in the order of its folders, out of a project's files, and what the lab's own
// package.json ask for.
func readNPMLock(files map[string][]byte) (all []npmPackage, projects map[string]npmDependencies, err error) {
	var lock npmLock
	data, ok := files["package-lock.json"]
	if !ok {
		return nil, nil, errors.New("it has no package-lock.json: npm install --package-lock-only makes one")
	}
	if err := json.Unmarshal(data, &lock); err != nil {
		return nil, nil, fmt.Errorf("cannot read package-lock.json: %v", err)
	}
	if lock.Version != 2 && lock.Version != 3 {
		return nil, nil, fmt.Errorf("package-lock.json is of version %d, and saigen reads 2 and 3: npm 7 or later writes them", lock.Version)
	}
	projects = map[string]npmDependencies{}
	var away []string // folders of optional packages that do not run here
	for _, folder := range slices.Sorted(maps.Keys(lock.Packages)) {
		in := lock.Packages[folder]
		if !strings.Contains(folder, "node_modules/") {
			if err := sameDependencies(files, folder, in.npmDependencies); err != nil {
				return nil, nil, err
			}
			projects[folder] = in.npmDependencies
			continue
		}
		if slices.ContainsFunc(away, func(f string) bool { return strings.HasPrefix(folder, f+"/") }) || in.InBundle {
			continue
		}
		if !in.runs() {
			if !in.Optional {
				return nil, nil, fmt.Errorf("%s runs on %v %v %v only, and is not optional", folder, in.OS, in.CPU, in.Libc)
			}
			away = append(away, folder)
			continue
		}
		p, err := in.resolve(folder, lock.Packages)
		if err != nil {
			return nil, nil, fmt.Errorf("package-lock.json: %s: %v", folder, err)
		}
		all = append(all, p)
	}
	return all, projects, nil
}

// sameDependencies says whether the lock was made of the package.json that is there, as npm ci does.
func sameDependencies(files map[string][]byte, folder string, locked npmDependencies) error {
	name := path.Join(folder, "package.json")
	data, ok := files[name]
	if !ok {
		return fmt.Errorf("it has no %s", name)
	}
	var asked npmDependencies
	if err := json.Unmarshal(data, &asked); err != nil {
		return fmt.Errorf("cannot read %s: %v", name, err)
	}
	for i := range reflect.TypeFor[npmDependencies]().NumField() {
		a, l := reflect.ValueOf(asked).Field(i).Interface().(map[string]string), reflect.ValueOf(locked).Field(i).Interface().(map[string]string)
		if !maps.Equal(a, l) {
			return fmt.Errorf("package-lock.json was made of another %s: npm install --package-lock-only makes it anew", name)
		}
	}
	return nil
}

var (
	npmName    = regexp.MustCompile(`^(@[A-Za-z0-9~_-][A-Za-z0-9._~-]*/)?[A-Za-z0-9~_-][A-Za-z0-9._~-]*$`)
	npmVersion = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+-]*$`)
	npmFile    = regexp.MustCompile(`^[A-Za-z0-9~_@-][A-Za-z0-9._~+@-]*$`)
)

// resolve finds out where a package comes from. Only the registry's packages have a sum that can be checked.
func (in npmLocked) resolve(folder string, all map[string]npmLocked) (npmPackage, error) {
	at := strings.LastIndex(folder, "node_modules/") + len("node_modules/")
	p := npmPackage{folder: folder, name: in.Name, version: in.Version, bin: in.Bin, script: in.HasScript}
	if p.name == "" {
		p.name = folder[at:]
	}
	if path.Clean(folder) != folder || !filepath.IsLocal(folder) || strings.HasPrefix(folder[at:], ".") || strings.Count(folder[at:], "/") > 1 {
		return p, errors.New("that is no folder of a package")
	}
	// They become parts of an address at the registry.
	if !npmName.MatchString(p.name) || p.version != "" && !npmVersion.MatchString(p.version) {
		return p, fmt.Errorf("%q is no name of a package, or %q no version", p.name, p.version)
	}
	if in.Link {
		to, ok := all[in.Resolved]
		if !ok || path.Clean(in.Resolved) != in.Resolved || !filepath.IsLocal(in.Resolved) {
			return p, fmt.Errorf("it is a link to %q, which is no part of the project", in.Resolved)
		}
		p.link, p.bin = in.Resolved, to.Bin
		return p, nil
	}
	if in.Version == "" {
		return p, errors.New("it has no version")
	}
	for _, sum := range strings.Fields(in.Integrity) {
		if encoded, ok := strings.CutPrefix(sum, "sha512-"); ok {
			raw, err := base64.StdEncoding.DecodeString(strings.SplitN(encoded, "?", 2)[0])
			if err != nil || len(raw) != 64 {
				return p, fmt.Errorf("%q is no sum of sha512", sum)
			}
			p.sha512 = hex.EncodeToString(raw)
		}
	}
	if p.sha512 == "" {
		return p, errors.New("it has no integrity of sha512, so what a registry answers cannot be checked")
	}
	p.file = path.Base(p.name) + "-" + in.Version + ".tgz"
	if in.Resolved != "" {
		u, err := url.Parse(in.Resolved)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || !strings.Contains(u.Path, "/-/") {
			return p, fmt.Errorf("it comes from %q, and saigen installs from a registry only", in.Resolved)
		}
		p.file = path.Base(u.Path)
	}
	if !npmFile.MatchString(p.file) {
		return p, fmt.Errorf("%q is no file of a registry", p.file)
	}
	return p, nil
}

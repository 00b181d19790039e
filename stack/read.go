package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/sirupsen/logrus"

	"github.com/saigen-lab/saigen/lab"
)

// mostBytes bounds what a stack may carry into its machine from the lab's folder.
const mostBytes = 64 << 20

// Read fills in what a stack's compose file says: its services, in the order in which they start, and the files of
// the lab's folder that it mounts. dir is the lab's folder. Mistakes in the compose file are *lab.PlaceError, joined.
func Read(dir string, s lab.Stack) (lab.Stack, error) {
	file := filepath.Join(dir, filepath.FromSlash(string(s.Compose)))
	source, err := readFile(file)
	if err != nil {
		return s, err
	}
	where := places(string(s.Compose), source)
	if err := where.noMappings("services"); err != nil {
		return s, err
	}
	var unset []string
	project, err := load(file, source, s, &unset)
	if err != nil {
		return s, where.of(err)
	}
	var problems []error
	for _, name := range unset {
		if !bytes.Contains(source, []byte("${"+name+"}")) {
			continue // it has a default
		}
		problems = append(problems, where.text("${"+name+"}", "Variable not set",
			fmt.Sprintf("The compose file uses ${%s}, which the stack does not set. podman-compose would put an empty string there. Add %s to the stack's env.", name, name)))
	}
	if len(project.Services) == 0 {
		problems = append(problems, where.at("", "No services", "The compose file declares no service, so there is nothing to run."))
	}
	for _, name := range startOrder(project) {
		svc := project.Services[name]
		v, err := service(s, svc, where)
		problems = append(problems, err...)
		s.Services = append(s.Services, v)
	}
	files, errs := mounted(dir, s, project, where)
	s.Files = files
	return s, errors.Join(append(problems, errs...)...)
}

// mostCompose bounds a compose file, in bytes.
const mostCompose = 256 << 10

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, mostCompose+1))
	if err == nil && len(data) > mostCompose {
		err = fmt.Errorf("the compose file is larger than %d KiB", mostCompose>>10)
	}
	return data, err
}

// load reads the compose file as podman-compose would see it in the machine: with the variables of the stack and
// none of the host's.
func load(file string, source []byte, s lab.Stack, unset *[]string) (*types.Project, error) {
	logrus.SetOutput(io.Discard) // compose-go warns through logrus' global logger; what matters here is an error
	details := types.ConfigDetails{
		WorkingDir:  filepath.Dir(file),
		ConfigFiles: []types.ConfigFile{{Filename: file, Content: source}},
		Environment: types.Mapping(s.Env),
	}
	return loader.LoadWithContext(context.Background(), details, func(o *loader.Options) {
		o.SetProjectName(s.Name, true)
		o.SkipInclude, o.SkipExtends, o.SkipResolveEnvironment, o.SkipResolveLabels = true, true, true, true
		o.Interpolate.LookupValue = func(key string) (string, bool) {
			v, ok := s.Env[key]
			if !ok && !slices.Contains(*unset, key) {
				*unset = append(*unset, key)
			}
			return v, ok
		}
	})
}

// startOrder is that of podman-compose: dependencies first, otherwise by name.
func startOrder(p *types.Project) []string {
	var order []string
	var visit func(name string)
	visit = func(name string) {
		if slices.Contains(order, name) {
			return
		}
		svc, ok := p.Services[name]
		if !ok {
			return
		}
		deps := svc.GetDependencies()
		slices.Sort(deps)
		for _, d := range deps {
			visit(d)
		}
		order = append(order, name)
	}
	for _, name := range p.ServiceNames() {
		visit(name)
	}
	return order
}

func service(s lab.Stack, svc types.ServiceConfig, where *placed) (lab.Service, []error) {
	v := lab.Service{Name: svc.Name, Container: svc.ContainerName, Image: svc.Image}
	if v.Container == "" {
		v.Container = s.Name + "_" + svc.Name + "_1"
	}
	for name := range svc.Networks {
		v.Networks = append(v.Networks, name)
	}
	slices.Sort(v.Networks)
	var problems []error
	at := "services." + svc.Name
	if svc.Build != nil {
		problems = append(problems, where.at(at+".build", "Image built from a compose file",
			"A lab is hermetic: podman-compose cannot build images in the machine. Declare an image block and name it localhost/NAME here."))
	}
	name, ok := strings.CutPrefix(strings.TrimSuffix(svc.Image, ":latest"), "localhost/")
	var have []string
	for _, ref := range s.Images {
		have = append(have, "localhost/"+ref.Name())
	}
	if svc.Build == nil && (!ok || !slices.Contains(s.Images, lab.ImageRef("image."+name))) {
		problems = append(problems, where.at(at+".image", "Image not in the lab",
			fmt.Sprintf("Service %q uses image %q. The stack's images are %s; there is no registry in a lab. Use one of these names, or add the image to the stack's images.",
				svc.Name, svc.Image, list(have))))
	}
	for _, p := range svc.Ports {
		if p.Published == "" {
			continue
		}
		port, err := strconv.Atoi(p.Published)
		if err != nil {
			problems = append(problems, where.at(at+".ports", "Port range", fmt.Sprintf("Service %q publishes %q. Publish single ports, so that faults and symptoms can name them.", svc.Name, p.Published)))
			continue
		}
		v.Ports = append(v.Ports, port)
	}
	return v, problems
}

// mounted lists the files that services mount from the lab's folder, relative to it.
func mounted(dir string, s lab.Stack, p *types.Project, where *placed) ([]lab.Path, []error) {
	var files []lab.Path
	var problems []error
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, []error{err}
	}
	defer root.Close()
	base := path.Dir(string(s.Compose)) // what the compose file's paths are relative to
	var total int64
	add := func(at, source string) {
		rel, err := filepath.Rel(filepath.Join(dir, base), source)
		if err != nil || !filepath.IsLocal(rel) {
			problems = append(problems, where.at(at, "Path outside the lab",
				fmt.Sprintf("%q is not beside or below the compose file. A lab takes no file of the host: move the file into the lab's folder.", source)))
			return
		}
		rel = path.Join(base, filepath.ToSlash(rel))
		err = fs.WalkDir(root.FS(), rel, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if !info.Mode().IsRegular() {
				return fmt.Errorf("%s is not a regular file", name)
			}
			if total += info.Size(); total > mostBytes {
				return fmt.Errorf("the stack's files are larger than %d MiB", mostBytes>>20)
			}
			if !slices.Contains(files, lab.Path(name)) {
				files = append(files, lab.Path(name))
			}
			return nil
		})
		if err != nil {
			problems = append(problems, where.at(at, "Cannot read a mounted file", "podman would make an empty folder in its place. "+err.Error()))
		}
	}
	for _, name := range p.ServiceNames() {
		svc := p.Services[name]
		for _, v := range svc.Volumes {
			if v.Type == types.VolumeTypeBind {
				add("services."+name+".volumes", v.Source)
			}
		}
		for _, e := range svc.EnvFiles {
			add("services."+name+".env_file", e.Path)
		}
	}
	slices.Sort(files)
	return files, problems
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

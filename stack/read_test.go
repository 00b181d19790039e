package stack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/saigen-lab/saigen/lab"
)

var declared = lab.Stack{
	Name: "web", Account: "alice", Compose: "compose.yaml",
	Images: []lab.ImageRef{"image.nginx", "image.app"},
	Env:    map[string]string{"PORT": "4430"},
}

func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRead(t *testing.T) {
	dir := write(t, map[string]string{
		"compose.yaml": `
services:
  proxy:
    image: localhost/nginx:latest
    container_name: proxy
    depends_on: [app]
    ports: ["${PORT}:4430"]
    volumes: ["./conf:/etc/nginx:ro", "data:/var/lib/x"]
  app:
    image: localhost/app
    ports: ["3000:3000", "127.0.0.1:3001:3001"]
volumes:
  data: {}
`,
		"conf/nginx.conf":    "x",
		"conf/site/one.conf": "y",
	})
	s, err := Read(dir, declared)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(s.Services)
	want := "[{app web_app_1 localhost/app [default] [3000 3001]} {proxy proxy localhost/nginx:latest [default] [4430]}]"
	if got != want {
		t.Errorf("services\n got %s\nwant %s", got, want)
	}
	if got, want := fmt.Sprint(s.Files), "[conf/nginx.conf conf/site/one.conf]"; got != want {
		t.Errorf("files: got %s, want %s", got, want)
	}
}

func TestReadMistakes(t *testing.T) {
	for _, c := range []struct {
		name, compose string
		want          []string // line:column: text that must be there
	}{
		{"no YAML", "services:\n  app: [", []string{"3:1: Compose file not valid: Did not find"}},
		{"unknown key", "services:\n  app:\n    image: localhost/app\n    prots: []\n", []string{"4:5: Compose file not valid: Services.app.prots is no setting of compose."}},
		{"unknown key at the top", "services:\n  app:\n    image: localhost/app\nnetwork: {}\n", []string{"4:1: Compose file not valid: \"network\" is no setting of compose."}},
		{"unknown key further down", "services:\n  app:\n    image: localhost/app\n    healthcheck:\n      intervl: 3s\n", []string{"5:7: Compose file not valid: \"intervl\" is no setting of compose in services.app.healthcheck."}},
		{"unknown key in a list", "services:\n  app:\n    image: localhost/app\n    ports:\n      - target: 3000\n        publised: 80\n", []string{"6:9: Compose file not valid: \"publised\" is no setting of compose in services.app.ports.0."}},
		{"indented too far", "services:\n  app:\n    image: localhost/app\n      ports: []\n", []string{"4:7: Compose file not valid: Mapping values are not allowed in this context."}},
		{"indented too little", "services:\n  app:\n    image: localhost/app\n   ports: []\n", []string{"4:4: Compose file not valid: Did not find expected key."}},
		{"indented like its service", "services:\n  app:\n  image: localhost/app\n", []string{"2:3: Compose file not valid: Services.app must be a mapping.", "3:3: Compose file not valid: Services.image must be a mapping."}},
		{"tab", "services:\n  app:\n\timage: localhost/app\n", []string{"3:1: Compose file not valid: The line is indented with a tab."}},
		{"twice", "services:\n  app:\n    image: localhost/app\n  app:\n    image: localhost/app\n", []string{"4:3: Compose file not valid: Mapping key \"app\" already defined at line 2."}},
		{"no list", "services:\n  app:\n    image: localhost/app\n    ports: 3000\n", []string{"4:5: Compose file not valid: Services.app.ports must be a list."}},
		{"no port", "services:\n  app:\n    image: localhost/app\n    ports:\n      - 3000:3000\n      - abc:3000\n", []string{"6:9: Compose file not valid: Invalid hostPort: abc."}},
		{"no such service", "services:\n  app:\n    image: localhost/app\n    depends_on: [db]\n", []string{"4:18: Compose file not valid: Service \"app\" depends on undefined service \"db\""}},
		{"no such network", "services:\n  app:\n    image: localhost/app\n    networks: [back]\n", []string{"4:16: Compose file not valid: Service \"app\" refers to undefined network back"}},
		{"no image", "services:\n  app:\n    command: x\n", []string{"2:3: Compose file not valid: Service \"app\" has neither an image"}},
		{"no services", "services: {}\n", []string{"1:1: No services"}},
		{"image not in the lab", "services:\n  app:\n    image: docker.io/nginx\n", []string{"3:5: Image not in the lab: Service \"app\" uses image \"docker.io/nginx\""}},
		{"build", "services:\n  app:\n    build: .\n", []string{"3:5: Image built from a compose file"}},
		{"variable not set", "services:\n  app:\n    image: localhost/app\n    ports: [\"${PROT}:3000\"]\n", []string{"4:14: Variable not set: The compose file uses ${PROT}"}},
		{"path outside", "services:\n  app:\n    image: localhost/app\n    volumes: [\"/etc/passwd:/x\"]\n", []string{"4:5: Path outside the lab"}},
		{"path above", "services:\n  app:\n    image: localhost/app\n    volumes: [\"../x:/x\"]\n", []string{"4:5: Path outside the lab"}},
		{"mounted file missing", "services:\n  app:\n    image: localhost/app\n    volumes: [\"./x:/x\"]\n", []string{"4:5: Cannot read a mounted file"}},
		{"two at once", "services:\n  app:\n    image: a\n  proxy:\n    image: b\n", []string{"3:5: Image not in the lab", "5:5: Image not in the lab"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read(write(t, map[string]string{"compose.yaml": c.compose}), declared)
			got := describe(err)
			if len(got) != len(c.want) {
				t.Fatalf("got %d mistakes, want %d:\n%s", len(got), len(c.want), strings.Join(got, "\n"))
			}
			for i := range got {
				if !strings.HasPrefix(got[i], c.want[i]) {
					t.Errorf("got  %s\nwant %s…", got[i], c.want[i])
				}
			}
		})
	}
}

// A symbolic link must not lead out of the lab's folder.
func TestReadLinkOutside(t *testing.T) {
	dir := write(t, map[string]string{"compose.yaml": "services:\n  app:\n    image: localhost/app\n    volumes: [\"./x:/x\"]\n"})
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "x")); err != nil {
		t.Fatal(err)
	}
	s, err := Read(dir, declared)
	if err == nil {
		t.Errorf("the link was taken: %v", s.Files)
	}
}

// Nothing of this host is read for a compose file, whatever it names: not its environment, and no file beside the lab's.
func TestReadNothingOfTheHost(t *testing.T) {
	const secret = "a-secret-of-this-host"
	t.Setenv("HOST_SECRET", secret)
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("KEY="+secret+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	extended := "services:\n  base:\n    image: localhost/app\n    command: " + secret + "\n"
	other := filepath.Join(t.TempDir(), "compose.yaml")
	if err := os.WriteFile(other, []byte(extended), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(outside))
	if err := os.WriteFile(".env", []byte("HOST_SECRET="+secret+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const app = "services:\n  app:\n    image: localhost/app\n"
	for name, c := range map[string]struct{ compose, want string }{
		"variable":             {app + "    command: [\"${HOST_SECRET}\"]\n", "Variable not set"},
		"variable by default":  {app + "    command: [\"${HOST_SECRET:-x}\"]\n", ""},
		"environment":          {app + "    environment: [HOST_SECRET, HOME]\n", ""},
		"env_file":             {app + "    env_file: " + outside + "\n", "Path outside the lab"},
		"env_file above":       {app + "    env_file: ../../../../etc/passwd\n", "Path outside the lab"},
		"env_file, optional":   {app + "    env_file: [{path: " + outside + ", required: false}]\n", "Path outside the lab"},
		"label_file":           {app + "    label_file: " + outside + "\n", ""},
		"label_file, missing":  {app + "    label_file: /nonexistent\n", ""}, // looking would be an error
		"home":                 {app + "    volumes: [\"~/.ssh:/x\"]\n", "Path outside the lab"},
		"long volume":          {app + "    volumes: [{type: bind, source: /etc, target: /x}]\n", "Path outside the lab"},
		"climbing volume":      {app + "    volumes: [\"./a/../../../x:/x\"]\n", "Path outside the lab"},
		"volume of a driver":   {app + "    volumes: [\"v:/x\"]\nvolumes:\n  v:\n    driver_opts: {type: none, o: bind, device: /etc}\n", ""},
		"build":                {"services:\n  app:\n    build: {context: /etc, dockerfile: passwd}\n", "Image built from a compose file"},
		"extends":              {"services:\n  app:\n    image: localhost/app\n    extends: {file: " + other + ", service: base}\n", ""},
		"include":              {"include: [" + other + "]\n" + app, ""},
		"config":               {app + "    configs: [c]\nconfigs:\n  c: {file: " + outside + "}\n", ""},
		"secret":               {app + "    secrets: [c]\nsecrets:\n  c: {file: " + outside + "}\n", ""},
		"secret of a variable": {app + "    secrets: [c]\nsecrets:\n  c: {environment: HOST_SECRET}\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Read(write(t, map[string]string{"compose.yaml": c.compose}), declared)
			if text := fmt.Sprintf("%+v %v", s, err); strings.Contains(text, secret) {
				t.Errorf("it was read: %s", text)
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if len(s.Files) > 0 || len(s.Services) > 1 {
				t.Errorf("it brings %v into the machine, with %v", s.Files, s.Services)
			}
		})
	}
}

// A small file that would be a large one when its aliases are written out is refused, and so is one without end.
func TestReadBombs(t *testing.T) {
	bomb := "x0: &x0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
	for i := range 9 {
		bomb += fmt.Sprintf("x%d: &x%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*x%d, ", i), 9), ", "))
	}
	for name, text := range map[string]string{"aliases": "services:\n  app:\n    image: localhost/app\n" + bomb, "length": strings.Repeat("#\n", mostCompose)} {
		began := time.Now()
		if _, err := Read(write(t, map[string]string{"compose.yaml": text}), declared); err == nil {
			t.Errorf("%s: it was taken", name)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: it took %s", name, took)
		}
	}
}

// describe lists the mistakes in an error, each with its place.
func describe(err error) []string {
	if err == nil {
		return nil
	}
	var many interface{ Unwrap() []error }
	if errors.As(err, &many) {
		var out []string
		for _, one := range many.Unwrap() {
			out = append(out, describe(one)...)
		}
		return out
	}
	var p *lab.PlaceError
	if errors.As(err, &p) {
		return []string{fmt.Sprintf("%d:%d: %s", p.Pos.Line, p.Pos.Column, p)}
	}
	return []string{err.Error()}
}

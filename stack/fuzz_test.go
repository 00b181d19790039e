package stack

import (
	"errors"
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

// FuzzRead holds that no compose file makes Read panic, that what it gives was checked, and that nothing from outside of the lab's
// folder is among what a machine gets.
func FuzzRead(f *testing.F) {
	for _, s := range []string{
		"services:\n  proxy:\n    image: localhost/nginx:latest\n    ports: [\"${PORT}:4430\"]\n    volumes: [\"./conf:/etc/nginx:ro\", \"data:/x\"]\nvolumes:\n  data: {}\n",
		"services: {a: {image: localhost/app, depends_on: [b]}, b: {image: localhost/app, depends_on: [a]}}\n",
		"services: &a\n  x: *a\n", "services: {a: {<<: {image: localhost/app}, volumes: [\"/etc/passwd:/x\", \"../../x:/y\"]}}\n",
		"services: {a: {image: localhost/app, env_file: /etc/passwd, extends: {file: /etc/passwd, service: a}}}\n",
		"include: [/etc/passwd]\nservices: {}\n", "services: {a: {build: ., image: \"${PORT:?no}\"}}\n", "services: [1]\n", "- x\n", "", "{", "\x00",
		"configs: {c: {file: ./lab.hcl}}\nsecrets: {s: {file: /etc/shadow}}\nservices: {a: {image: localhost/app, configs: [c], secrets: [s]}}\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		dir := write(t, map[string]string{"compose.yaml": text, "conf/nginx.conf": "events {}\n"})
		s, err := Read(dir, declared)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a word")
			}
			var place *lab.PlaceError
			_ = errors.As(err, &place)
			return
		}
		if len(s.Services) == 0 {
			t.Errorf("%q is a stack of nothing", text)
		}
		for _, file := range s.Files {
			if file != "compose.yaml" && file != "conf/nginx.conf" && file != "conf" {
				t.Errorf("%q brings %q into the machine", text, file)
			}
		}
	})
}

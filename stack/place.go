package stack

import (
	"bytes"
	"errors"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/saigen-lab/saigen/lab"
)

// placed finds places in one compose file: compose-go names what is wrong by its path ("services.app.ports"), a
// reader wants line and column.
type placed struct {
	file   string
	source []byte
	root   *yaml.Node // nil when the file is no YAML
}

func places(file string, source []byte) *placed {
	p := &placed{file: file, source: source}
	var doc yaml.Node
	if yaml.Unmarshal(source, &doc) == nil && len(doc.Content) == 1 {
		p.root = doc.Content[0]
	}
	return p
}

// at is a mistake at a path, or at the deepest part of it that is there.
func (p *placed) at(dotted, summary, detail string) error {
	line, column := p.find(dotted)
	return &lab.PlaceError{Pos: lab.Pos{File: p.file, Line: line, Column: column}, Summary: summary, Detail: detail}
}

// text is a mistake where some text stands first.
func (p *placed) text(what, summary, detail string) error {
	pos := lab.Pos{File: p.file, Line: 1, Column: 1}
	if i := bytes.Index(p.source, []byte(what)); i >= 0 {
		pos.Line += bytes.Count(p.source[:i], []byte("\n"))
		pos.Column = i - bytes.LastIndexByte(p.source[:i], '\n')
	}
	return &lab.PlaceError{Pos: pos, Summary: summary, Detail: detail}
}

var (
	yamlLine = regexp.MustCompile(`line (\d+)`)
	prefix   = regexp.MustCompile(`^(?:validating|failed to parse) [^:]*: (?:yaml: )?`)
	dotted   = regexp.MustCompile(`\b(?:services|networks|volumes|configs|secrets)(?:\.[A-Za-z0-9_-]+)+`)
)

// of gives the errors of compose-go their places.
func (p *placed) of(err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range many.Unwrap() {
			out = append(out, p.of(e))
		}
		return errors.Join(out...)
	}
	text := prefix.ReplaceAllString(err.Error(), "")
	// What the JSON schema of compose says of a key that it does not have.
	text = strings.ReplaceAll(text, " false schema", " is no setting of compose")
	const summary = "Compose file not valid"
	const advice = "See the compose specification, or try podman-compose config."
	if m := yamlLine.FindStringSubmatch(text); m != nil && p.root == nil {
		line := 0
		for _, c := range m[1] {
			line = line*10 + int(c-'0')
		}
		return &lab.PlaceError{Pos: lab.Pos{File: p.file, Line: line, Column: 1}, Summary: summary, Detail: sentence(text) + " " + advice}
	}
	return p.at(dotted.FindString(text), summary, sentence(text)+" "+advice)
}

func (p *placed) find(path string) (line, column int) {
	line, column = 1, 1
	if p.root == nil || path == "" {
		return line, column
	}
	node := p.root
	for _, key := range strings.Split(path, ".") {
		next := (*yaml.Node)(nil)
		for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == key {
				line, column = node.Content[i].Line, node.Content[i].Column
				next = node.Content[i+1]
			}
		}
		if next == nil {
			break
		}
		node = next
	}
	return line, column
}

func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + strings.TrimSuffix(s[1:], ".") + "."
}

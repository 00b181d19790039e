package stack

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
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
	yamlLine  = regexp.MustCompile(`\bline (\d+): `)
	prefix    = regexp.MustCompile(`^(?:validating|failed to parse) [^:]*: (?:yaml: )?`)
	dotted    = regexp.MustCompile(`\b(?:services|networks|volumes|configs|secrets)(?:\.[A-Za-z0-9_-]+)*`)
	extra     = regexp.MustCompile(`additional properties '([^']+)'`)
	ofService = regexp.MustCompile(`^service "([^"]+)" `)
	aPort     = regexp.MustCompile(`^invalid (?:containerPort|hostPort|IP address): (\S+)`)
	undefined = regexp.MustCompile(`undefined (?:service|network|volume|config|secret) "?([A-Za-z0-9_.-]+)`)
)

const (
	summary = "Compose file not valid"
	advice  = " See the compose specification, or try podman-compose config."
)

// noMappings complains of everything below a key that is no mapping, as a word that is not indented far enough is. Of several
// such things compose-go names one, and not always the same.
func (p *placed) noMappings(key string) error {
	if p.root == nil || p.root.Kind != yaml.MappingNode {
		return nil // compose-go says it
	}
	var errs []error
	for i := 0; i+1 < len(p.root.Content); i += 2 {
		below := p.root.Content[i+1]
		if p.root.Content[i].Value != key || below.Kind != yaml.MappingNode {
			continue
		}
		for j := 0; j+1 < len(below.Content); j += 2 {
			name, value := below.Content[j].Value, below.Content[j+1]
			if value.Kind == yaml.ScalarNode || value.Kind == yaml.SequenceNode {
				errs = append(errs, p.at(key+"."+name, summary, sentence(key+"."+name+" must be a mapping")+advice))
			}
		}
	}
	return errors.Join(errs...)
}

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
	if m := yamlLine.FindAllStringSubmatchIndex(text, -1); m != nil {
		last := m[len(m)-1] // the one before it is of what the guilty line is part of
		line, _ := strconv.Atoi(text[last[2]:last[3]])
		return p.line(line, summary, sentence(text[last[1]:])+advice)
	}
	line, column := p.where(text)
	return &lab.PlaceError{Pos: lab.Pos{File: p.file, Line: line, Column: column}, Summary: summary, Detail: sentence(plain(text)) + advice}
}

// line is a mistake that makes the file no YAML: it is nothing that could be found by its path.
func (p *placed) line(n int, summary, detail string) error {
	pos := lab.Pos{File: p.file, Line: n, Column: 1}
	if lines := bytes.Split(p.source, []byte("\n")); n >= 1 && n <= len(lines) {
		text := lines[n-1]
		indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]
		pos.Column += len(indent)
		if tab := bytes.IndexByte(indent, '\t'); tab >= 0 {
			pos.Column = tab + 1
			detail = "The line is indented with a tab. YAML is indented with spaces only."
		}
	}
	return &lab.PlaceError{Pos: pos, Summary: summary, Detail: detail}
}

// where finds what an error of compose-go is about: by its path, or by the word that it quotes.
func (p *placed) where(text string) (line, column int) {
	path := dotted.FindString(text)
	if m := ofService.FindStringSubmatch(text); m != nil {
		path = "services." + m[1]
		if m := undefined.FindStringSubmatch(text); m != nil {
			return p.word(path, m[1])
		}
	}
	if m := aPort.FindStringSubmatch(text); m != nil {
		return p.word("services", m[1])
	}
	if m := extra.FindStringSubmatch(text); m != nil {
		path = strings.TrimPrefix(path+"."+m[1], ".")
	}
	return p.find(path)
}

// word finds the first value at or below a path that has a word in it; otherwise the path itself.
func (p *placed) word(path, word string) (line, column int) {
	line, column = p.find(path)
	var look func(n *yaml.Node) bool
	look = func(n *yaml.Node) bool {
		if n == nil {
			return false
		}
		if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, word) && n.Line >= line {
			line, column = n.Line, n.Column
			return true
		}
		return slices.ContainsFunc(n.Content, look)
	}
	look(p.root)
	return line, column
}

// plain says in words what the JSON schema of compose says.
func plain(text string) string {
	text = strings.ReplaceAll(text, " false schema", " is no setting of compose")
	text = strings.ReplaceAll(text, "must be a array", "must be a list")
	if m := extra.FindStringSubmatch(text); m != nil {
		where := strings.TrimSuffix(strings.TrimSpace(text[:strings.Index(text, "additional properties")]), ":")
		if where != "" {
			where = " in " + where
		}
		return fmt.Sprintf("%q is no setting of compose%s", m[1], where)
	}
	return text
}

func (p *placed) find(path string) (line, column int) {
	line, column = 1, 1
	if p.root == nil || path == "" {
		return line, column
	}
	node := p.root
	for _, key := range strings.Split(path, ".") {
		next := (*yaml.Node)(nil)
		if i, err := strconv.Atoi(key); err == nil && node.Kind == yaml.SequenceNode && i < len(node.Content) {
			next = node.Content[i]
			line, column = next.Line, next.Column
		}
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

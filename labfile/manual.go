package labfile

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// WriteKinds prints the manual of kinds for a terminal of the given width; 0 leaves long lines as they are.
func WriteKinds(w io.Writer, kinds []KindDoc, width int) error {
	var b bytes.Buffer
	for i, k := range kinds {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s\n%s\n", k.Name, indent(k.Doc, "  ", width))
		writeSettings(&b, k.Settings, "  ", width)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func writeSettings(b *bytes.Buffer, settings []SettingDoc, margin string, width int) {
	for _, s := range settings {
		fmt.Fprintf(b, "\n%s%s  (%s)\n%s\n", margin, s.Name, s.facts(), indent(s.Doc, margin+"    ", width))
		writeSettings(b, s.Settings, margin+"    ", width)
	}
}

// facts is the type of a setting, and whether it must be given.
func (s SettingDoc) facts() string {
	switch {
	case s.Required:
		return s.Type + ", required"
	case s.Default != "":
		return s.Type + ", default " + s.Default
	default:
		return s.Type + ", optional"
	}
}

func indent(text, margin string, width int) string {
	if width > 0 {
		width = max(width-len(margin), 20)
	}
	lines := strings.Split(wrap(text, width), "\n")
	for i, l := range lines {
		if l != "" {
			lines[i] = margin + l
		}
	}
	return strings.Join(lines, "\n")
}

// WriteKindsMarkdown prints the manual of kinds as a section of a Markdown page, with a heading for each kind. level is
// that heading's: 2 for "##".
func WriteKindsMarkdown(w io.Writer, kinds []KindDoc, level int) error {
	var b bytes.Buffer
	for i, k := range kinds {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s %s\n\n%s\n", strings.Repeat("#", level), k.Name, k.Doc)
		if len(k.Settings) == 0 {
			b.WriteString("\nIt has no settings.\n")
			continue
		}
		b.WriteString("\n| setting | type | default | what it is |\n|---|---|---|---|\n")
		writeRows(&b, k.Settings, "")
	}
	_, err := w.Write(b.Bytes())
	return err
}

func writeRows(b *bytes.Buffer, settings []SettingDoc, prefix string) {
	for _, s := range settings {
		value := "–"
		switch {
		case s.Required:
			value = "required"
		case s.Default != "":
			value = "`" + s.Default + "`"
		}
		cell := strings.NewReplacer("\n\n", "<br>", "|", `\|`)
		fmt.Fprintf(b, "| `%s%s` | %s | %s | %s |\n", prefix, s.Name, s.Type, cell.Replace(value), cell.Replace(s.Doc))
		writeRows(b, s.Settings, prefix+s.Name+".")
	}
}

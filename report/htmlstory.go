package report

import (
	"bytes"
	"html/template"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// storyHTML renders a lab's story. Raw HTML in it is dropped, which is goldmark's default; of links that run something the
// text stays; pictures become their description, since a report fetches nothing. Its headings go below the
// report's own, and a first heading that says the lab's title again is left out.
func storyHTML(story []byte, title string) template.HTML {
	source := []byte(cleanText(string(story)))
	md := goldmark.New(
		goldmark.WithExtensions(extension.Table, extension.Strikethrough),
		goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(shape{title}, 100))),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(noPictures{}, 1)), html.WithXHTML()),
	)
	var out bytes.Buffer
	if err := md.Convert(source, &out); err != nil { // a buffer takes everything
		return template.HTML("<pre>" + template.HTMLEscapeString(string(source)) + "</pre>") //nolint:gosec // escaped
	}
	return template.HTML(out.String()) //nolint:gosec // goldmark escapes, and raw HTML is off
}

// shape changes the story's headings and links to fit into a report.
type shape struct{ title string }

const deeper = 2 // the report's own headings are h1 and h2

func (s shape) Transform(doc *ast.Document, reader text.Reader, _ parser.Context) {
	if h, ok := doc.FirstChild().(*ast.Heading); ok && h.Level == 1 {
		if strings.TrimSpace(string(h.Lines().Value(reader.Source()))) == strings.TrimSpace(s.title) {
			doc.RemoveChild(doc, h)
		}
	}
	var dangerous []*ast.Link
	var itself []*ast.AutoLink
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // the function has no error
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			n.Level = min(n.Level+deeper-1, 6)
		case *ast.Link:
			n.SetAttributeString("rel", []byte("noopener noreferrer"))
			if html.IsDangerousURL(n.Destination) {
				dangerous = append(dangerous, n)
			}
		case *ast.AutoLink:
			if html.IsDangerousURL(n.URL(reader.Source())) {
				itself = append(itself, n)
			}
		}
		return ast.WalkContinue, nil
	})
	for _, n := range dangerous { // their text stays
		for c := n.FirstChild(); c != nil; c = n.FirstChild() {
			n.Parent().InsertBefore(n.Parent(), n, c)
		}
		n.Parent().RemoveChild(n.Parent(), n)
	}
	for _, n := range itself {
		n.Parent().ReplaceChild(n.Parent(), n, ast.NewString(util.EscapeHTML(n.Label(reader.Source()))))
	}
}

// noPictures writes the description of a picture instead of the picture.
type noPictures struct{}

func (noPictures) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindImage, func(w util.BufWriter, _ []byte, _ ast.Node, entering bool) (ast.WalkStatus, error) {
		mark := "<em>[picture: "
		if !entering {
			mark = "]</em>"
		}
		_, err := w.WriteString(mark)
		return ast.WalkContinue, err
	})
}

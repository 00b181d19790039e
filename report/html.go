package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// The page is one file that fetches nothing: its style, its script and the charting library are in it.
//
//go:generate assets/update.sh
var (
	//go:embed assets/report.html.tmpl
	htmlTemplate string
	//go:embed assets/report.css
	htmlStyle string
	//go:embed assets/report.js
	htmlScript string
	//go:embed assets/uplot/uPlot.iife.min.js
	uplotScript string
	//go:embed assets/uplot/uPlot.min.css
	uplotStyle string
	//go:embed assets/uplot/LICENSE
	uplotLicence string
)

// HTML writes the report of one run, or of several, as one page that needs nothing else. It reads the folders of the
// runs only, so an old run can be rendered again. thaw makes a lab of a frozen lab.json; where it cannot, the
// observations are drawn without being judged.
func HTML(w io.Writer, thaw func([]byte) (*lab.Lab, error), folders ...string) error {
	var runs []*storedRun
	for _, f := range folders {
		r, err := readRun(f, thaw)
		if err != nil {
			return err
		}
		runs = append(runs, r)
	}
	page, err := template.New("report").Parse(htmlTemplate)
	if err != nil {
		return err
	}
	return page.Execute(w, pageOf(runs))
}

// asset is a script or a style sheet of the page, and its hash as the page's policy names it.
type pageScript struct {
	Text template.JS
	Hash string
}

type pageStyle struct {
	Text template.CSS
	Hash string
}

func scripts() []pageScript {
	var out []pageScript
	for _, s := range []string{uplotScript, htmlScript} {
		s = "\n" + strings.TrimSpace(s) + "\n"
		out = append(out, pageScript{template.JS(s), policyHash(s)}) //nolint:gosec // our own files
	}
	return out
}

func styles() pageStyle {
	s := "\n" + strings.TrimSpace(uplotStyle+"\n"+htmlStyle) + "\n"
	return pageStyle{template.CSS(s), policyHash(s)} //nolint:gosec // our own files
}

func policyHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// policy lets the page run its own scripts and styles, and nothing else: no other script, no inline handler, no
// request.
func policy(scripts []pageScript, st pageStyle) template.HTML {
	hashes := ""
	for _, s := range scripts {
		hashes += " " + s.Hash
	}
	return template.HTML(fmt.Sprintf(`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src%s; style-src %s; base-uri 'none'; form-action 'none'">`, hashes, st.Hash)) //nolint:gosec // hashes only
}

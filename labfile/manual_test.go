package labfile

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

// TestLanguageManual holds docs/lab-language.md to the language: its examples are formatted, the whole lab in it loads,
// and every argument, block, function and word that may be written is in it.
func TestLanguageManual(t *testing.T) {
	src, err := os.ReadFile("../docs/lab-language.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(src)
	examples := regexp.MustCompile("(?s)```hcl\n(.*?)```").FindAllStringSubmatch(page, -1)
	whole := 0
	for _, e := range examples {
		out, diags := Format([]byte(e[1]), "lab-language.md")
		if diags.HasErrors() || string(out) != e[1] {
			t.Errorf("not as saigen fmt would write it: %s\n%s", e[1], diags.Error())
		}
		if !strings.HasPrefix(e[1], "lab ") {
			continue
		}
		whole++
		dir := write(t, map[string]string{
			"lab.hcl": e[1], "incident.md": "", "compose.yaml": "app: ${APP_PORT}\nproxy: ${PROXY_PORT}\n", "remedy.sh": "", "restart.sh": "", "app/main.go": "",
		})
		_, diags = Load(dir, testKinds(), readCompose)
		wants(t, diags)
	}
	if whole != 1 || len(examples) < 4 {
		t.Errorf("%d examples, %d of them whole labs", len(examples), whole)
	}

	var words []string
	for name := range functions() {
		words = append(words, name)
	}
	for _, s := range rootSchema().Blocks {
		words = append(words, s.Type)
	}
	for _, b := range []any{
		&labBlock{}, &axisBlock{}, &includeBlock{}, &imageBlock{}, &vagrantBlock{}, &machineBlock{}, &stackBlock{}, &faultBlock{}, &symptomBlock{},
		&invariantBlock{}, &readyBlock{}, &remedyBlock{}, &accountBlock{}, &figureBlock{},
	} {
		for _, f := range fieldsOf(reflect.ValueOf(b).Elem()) {
			if f.role == roleAttr {
				words = append(words, f.name)
			}
		}
	}
	for _, v := range lab.Verdicts() {
		words = append(words, string(v))
	}
	for _, n := range lab.Needs() {
		words = append(words, string(n))
	}
	for _, u := range lab.Units() {
		words = append(words, string(u))
	}
	for _, w := range words {
		if !regexp.MustCompile("`\"?" + w + "\\b").MatchString(page) {
			t.Errorf("the manual does not mention %q", w)
		}
	}
}

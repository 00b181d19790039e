package labfile

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/saigen-lab/saigen/lab"
)

// testSources are the sources of the test kinds. Tests are not read as sources, so the file goes by another name.
func testSources(t *testing.T) fstest.MapFS {
	t.Helper()
	src, err := os.ReadFile("kinds_test.go")
	if err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{"kinds.go": {Data: src}}
}

func TestDescribe(t *testing.T) {
	faults, err := Describe(testKinds().Faults, testSources(t))
	if err != nil {
		t.Fatal(err)
	}
	assertions, err := Describe(testKinds().Assertions, testSources(t))
	if err != nil {
		t.Fatal(err)
	}
	var text, page strings.Builder
	if err := WriteKinds(&text, append(faults, assertions...), 80); err != nil {
		t.Fatal(err)
	}
	if err := WriteKindsMarkdown(&page, append(faults, assertions...), 2); err != nil {
		t.Fatal(err)
	}
	same(t, "testdata/manual/kinds.txt", text.String())
	same(t, "testdata/manual/kinds.md", page.String())
}

type unexplained struct {
	noFault
	Every lab.Duration `hcl:"every,optional" json:"every"`
}

func TestDescribeMissing(t *testing.T) {
	src := fstest.MapFS{"kinds.go": {Data: []byte("package x\n\ntype unexplained struct {\n\tEvery string\n}\n")}}
	_, err := Describe([]lab.Kind[lab.Breaker]{{Name: "new", New: func() lab.Breaker { return &unexplained{} }}}, src)
	for _, want := range []string{"the type unexplained has no comment", "the field Every has no comment", "every has the name of an argument"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no error %q in: %v", want, err)
		}
	}
}

func TestDescribeBrokenSource(t *testing.T) {
	_, err := Describe(testKinds().Faults, fstest.MapFS{"kinds.go": {Data: []byte("package")}})
	if err == nil || !strings.Contains(err.Error(), "cannot read the source of kinds") {
		t.Errorf("got %v", err)
	}
}

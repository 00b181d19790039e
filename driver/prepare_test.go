package driver

import (
	"errors"
	"fmt"
	"testing"

	"github.com/saigen-lab/saigen/lab"
)

func TestPrepared(t *testing.T) {
	var p Prepared[int]
	l, no := &lab.Lab{}, errors.New("no")
	if _, err := p.Of(l); err == nil {
		t.Error("it is prepared before it is prepared")
	}
	if err := p.Once(l, func() (int, error) { return 0, no }); !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
	for n := range 2 { // the second time there is nothing to do
		if err := p.Once(l, func() (int, error) { return 7 + n, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := p.Of(l); n != 7 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	if _, err := p.Of(&lab.Lab{}); err == nil {
		t.Error("another lab is prepared")
	}
}

func TestEachMachine(t *testing.T) {
	l := &lab.Lab{Machines: []lab.Machine{{Name: "one"}, {Name: "two"}}}
	all, err := EachMachine(l, func(m lab.Machine) (string, error) { return "of " + m.Name, nil })
	if err != nil || fmt.Sprint(all) != "map[one:of one two:of two]" {
		t.Errorf("got %v, %v", all, err)
	}
	no := errors.New("no")
	_, err = EachMachine(l, func(m lab.Machine) (string, error) {
		if m.Name == "two" {
			return "", no
		}
		return "", nil
	})
	if !errors.Is(err, no) || err.Error() != "cannot prepare machine.two: no" {
		t.Errorf("got %v", err)
	}
}

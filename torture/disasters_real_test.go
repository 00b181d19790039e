package main

import (
	"slices"
	"testing"
)

// A few of what interrupts, full and locked do, on one host: all on container, whose machines are quick.
func TestDisasters(t *testing.T) {
	h := realHost(t, "disasters")
	h.points = enough // what is chosen here is done
	path, err := h.lab(deathLab)
	must(t, err)
	want := []string{
		"^C in a run, container at the fault", "^C twice in a run, container at the fault", "nobody reads what a run prints, container at the fault",
		"the state folder is full in a run, container at the fault", "a store is made on a small disk, container at 40% of the room",
		"the cache is read-only, container at run",
	}
	all := slices.DeleteFunc(slices.Concat(interruptions(path), fullDisks(), lockedFolders()), func(d disaster) bool {
		return !slices.Contains(want, d.title()+" at "+d.moment.name)
	})
	if len(all) != len(want) {
		t.Fatalf("%d of %d are in the tables", len(all), len(want))
	}
	f, err := h.disasters(t.Context(), path, all)
	kept(t, f, err, len(want))
}

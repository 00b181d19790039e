package image

import (
	"os"
	"os/user"
	"slices"
	"testing"
)

func TestRequirementsSayHowToMeetThem(t *testing.T) {
	for _, r := range slices.Concat(Requirements(), DiskRequirements(), BoxRequirements()) {
		if r.Name == "" || r.Needed == "" || r.Fix == "" || r.Check == nil {
			t.Errorf("%+v is not complete", r)
		}
	}
	if program("no-such-program", "a test", "nothing").Check(t.Context()) == nil {
		t.Error("a program that is not there is found")
	}
}

func TestSubids(t *testing.T) {
	me := &user.User{Username: "alice", Uid: "1000"}
	for text, want := range map[string]bool{
		"": false, "bob:100000:65536\n": false, "alice2:1:2\n": false,
		"bob:100000:65536\nalice:165536:65536\n": true, "1000:100000:65536": true,
	} {
		if hasSubids(text, me) != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
}

func TestMappedNamespaces(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a normal user's namespaces need subordinate ids; TestRealDisks has a user with some")
	}
	if err := checkNamespaces(t.Context()); err != nil {
		t.Error(err)
	}
}

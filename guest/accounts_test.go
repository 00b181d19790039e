package guest

import "testing"

func TestUIDTaken(t *testing.T) {
	const passwd = "root:x:0:0:root:/root:/bin/bash\nvagrant:x:1000:1000::/home/vagrant:/bin/bash\n\nodd:x\n"
	for uid, want := range map[int]bool{0: true, 1000: true, 1001: false, 100: false} {
		if got := uidTaken(passwd, uid); got != want {
			t.Errorf("uid %d: got %v", uid, got)
		}
	}
}

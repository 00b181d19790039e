package image

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// progress turns what mmdebstrap, apt and dpkg print into the few lines that a person wants to read.
type progress struct {
	say         Say
	now         func() time.Time
	began, last time.Time
	read        bool
	packages    int // of the current round of apt
	done        int
}

// progressEvery is how long a step may be silent.
const progressEvery = 5 * time.Second

func newProgress(say Say) *progress {
	p := &progress{say: say, now: time.Now}
	p.began = p.now()
	p.last = p.began
	return p
}

var newlyInstalled = regexp.MustCompile(`^\d+ upgraded, (\d+) newly installed`)

func (p *progress) line(text string) {
	switch {
	case strings.HasPrefix(text, "Get:1 ") && !p.read:
		p.read = true
		p.tell("reading Debian's package lists")
	case text == "I: downloading packages with apt...":
		p.tell("downloading the base system")
	case strings.HasPrefix(text, "I: creating tarball"):
		p.tell("packing, after %.0f s", p.now().Sub(p.began).Seconds())
	case strings.HasPrefix(text, "Setting up "):
		p.done++
	}
	if m := newlyInstalled.FindStringSubmatch(text); m != nil && m[1] != "0" {
		p.packages, _ = strconv.Atoi(m[1])
		p.done = 0
		p.tell("installing %d packages", p.packages)
	}
	if p.packages > 0 && p.now().Sub(p.last) >= progressEvery {
		p.tell("%d of %d packages are set up, %.0f s so far", min(p.done, p.packages), p.packages, p.now().Sub(p.began).Seconds())
	}
}

func (p *progress) tell(format string, args ...any) {
	p.last = p.now()
	p.say(format, args...)
}

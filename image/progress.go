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
	unpacked    int
	ready       int
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
	case text == "I: extracting archives...":
		p.tell("unpacking the base system")
	case strings.HasPrefix(text, "I: creating tarball"):
		p.tell("packing, after %.0f s", p.now().Sub(p.began).Seconds())
	case strings.HasPrefix(text, "Unpacking "):
		p.unpacked++
	case strings.HasPrefix(text, "Setting up "):
		p.ready++
	}
	if m := newlyInstalled.FindStringSubmatch(text); m != nil && m[1] != "0" {
		p.packages, _ = strconv.Atoi(m[1])
		p.unpacked, p.ready = 0, 0
		p.tell("installing %d packages", p.packages)
	}
	if p.now().Sub(p.last) < progressEvery {
		return
	}
	so := p.now().Sub(p.began).Seconds()
	switch {
	case p.ready > 0:
		p.tell("%d of %d packages are set up, %.0f s so far", min(p.ready, p.packages), p.packages, so)
	case p.unpacked > 0:
		p.tell("%d of %d packages are unpacked, %.0f s so far", min(p.unpacked, p.packages), p.packages, so)
	default:
		p.tell("%.0f s so far", so)
	}
}

func (p *progress) tell(format string, args ...any) {
	p.last = p.now()
	p.say(format, args...)
}

package labfile

import (
	"regexp"
	"slices"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

var envForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

type machineBlock struct {
	When     condition      `hcl:"when,optional"`
	Image    lab.ImageRef   `hcl:"image,optional"`
	Memory   lab.Size       `hcl:"memory,optional"`
	CPUs     int            `hcl:"cpus,optional"`
	Accounts []accountBlock `hcl:"account,block"`
}

type accountBlock struct {
	Name     string `hcl:"name,label"`
	Session  string `hcl:"session"`
	LoggedIn bool   `hcl:"logged_in,optional"`
}

func (e *evaluator) machine(d *decoder, l *lab.Lab) {
	var in machineBlock
	ok := d.decode(&in)
	m := lab.Machine{Name: d.block.Labels[0], Image: in.Image, Memory: in.Memory, CPUs: in.CPUs, Pos: position(d.subject())}
	if in.Image == "" && (!d.has("image") || ok) { // when it is there and wrong, that has been reported
		e.noImage(d, l, d.subject())
	}
	if img := d.scope.images[string(in.Image)]; img != nil && img.Go != "" && img.Debian == "" {
		e.fail(d.attrRange("image"), "Image without an init", "%s holds one program and no system. A machine boots: give it an image made from debian.", in.Image)
	}
	if d.good["cpus"] && in.CPUs < 1 {
		e.fail(d.attrRange("cpus"), "Wrong number of processors", "A machine needs at least 1. Leave the argument out to let it use all of the host's.")
	}
	if d.good["memory"] && in.Memory.Bytes() < 64<<20 {
		e.fail(d.attrRange("memory"), "Too little memory", "A Debian system does not boot in less than 64MiB.")
	}
	if len(in.Accounts) == len(d.block.body.Blocks) { // otherwise a block of another name has been reported
		e.accounts(d, in, &m)
	}
	l.Machines = append(l.Machines, m)
	if ok {
		d.scope.machines[addressOf(d.block)] = &m
	}
}

func (e *evaluator) accounts(d *decoder, in machineBlock, m *lab.Machine) {
	sessions := []string{string(lab.SessionLinger), string(lab.SessionLogin), string(lab.SessionSu), string(lab.SessionNone)}
	for i, a := range in.Accounts {
		b := d.block.body.Blocks[i]
		if len(b.LabelRanges) != 1 {
			continue // reported by the decoder
		}
		at := b.LabelRanges[0]
		switch {
		case a.Name == "root":
			e.fail(at, "Account root", "Every machine has root. It is not declared; commands without an account run as root.")
		case !nameForm.MatchString(a.Name) || len(a.Name) > 32:
			e.fail(at, "Wrong name", "The name of a Linux account begins with a lower-case letter and goes on with lower-case letters, digits, \"_\" and \"-\", 32 of them at most.")
		case slices.ContainsFunc(in.Accounts[:i], func(o accountBlock) bool { return o.Name == a.Name }):
			e.fail(at, "Duplicate account", "The machine has an account %q already.", a.Name)
		}
		if s := b.Body.Attributes["session"]; s != nil && a.Session != "" || s != nil && isLiteral(s.Expr) {
			if !slices.Contains(sessions, a.Session) {
				e.fail(s.Expr.Range(), "Unknown session", "%q is not a way to be logged in.%s Kinds of session are %s.", a.Session, didYouMean(a.Session, sessions), list(sessions))
			}
		}
		m.Accounts = append(m.Accounts, lab.Account{Name: a.Name, Session: lab.Session(a.Session), LoggedIn: a.LoggedIn, Pos: position(b.DefRange())})
	}
}

type stackBlock struct {
	When    condition         `hcl:"when,optional"`
	Machine lab.MachineRef    `hcl:"machine"`
	Account lab.AccountName   `hcl:"account"`
	Compose lab.Path          `hcl:"compose"`
	Env     map[string]string `hcl:"env,optional"`
	Images  []lab.ImageRef    `hcl:"images,optional"`
}

func (e *evaluator) stack(d *decoder, l *lab.Lab) {
	var in stackBlock
	ok := d.decode(&in)
	for _, name := range sortedKeys(in.Env) {
		if !envForm.MatchString(name) {
			e.fail(d.attrRange("env"), "Wrong variable name", "%q cannot be the name of an environment variable: letters, digits and \"_\", not beginning with a digit.", name)
			ok = false
		}
		if strings.ContainsAny(in.Env[name], "\n\r\x00") {
			e.fail(d.attrRange("env"), "Line break in a variable", "The value of %q holds a line break. It becomes a line of the project's .env file, and must be one.", name)
			ok = false
		}
	}
	for i, img := range in.Images {
		if slices.Contains(in.Images[:i], img) {
			e.fail(d.elementRange("images", i), "Duplicate image", "%s is in the list already.", img)
			ok = false
		}
	}
	s := lab.Stack{
		Name: d.block.Labels[0], Machine: in.Machine, Account: string(in.Account), Compose: in.Compose, Env: in.Env, Images: in.Images,
		Pos: position(d.subject()),
	}
	if ok {
		s, ok = e.readStack(d, s)
	}
	l.Stacks = append(l.Stacks, s)
	if ok {
		d.scope.stacks[addressOf(d.block)] = &s
	}
}

// firstPort is the lowest port that a Debian system gives to a user, and so to a rootless container: the kernel's
// net.ipv4.ip_unprivileged_port_start.
const firstPort = 1024

// ports complains of ports that could never be published: by two services of a machine, or reserved for root. Machines from
// elsewhere may reserve others.
func (e *evaluator) ports(s *scope, present []*block, l *lab.Lab) {
	type place struct {
		machine lab.MachineRef
		port    int
	}
	taken := map[place]string{}
	for _, b := range present {
		st := s.stacks[addressOf(b)]
		if st == nil {
			continue
		}
		for _, service := range st.Services {
			who := "service " + service.Name + " of stack." + st.Name
			for _, port := range service.Ports {
				if port < firstPort && !imageless(l, s.vagrant) {
					e.fail(newDecoder(e.reader, s, b).attrRange("compose"), "Port reserved for root",
						"%s publishes port %d. Account %q is not root, and ports below %d are root's, so podman could not start it. Publish a port from %d on.",
						capital(who), port, st.Account, firstPort, firstPort)
				}
				at := place{st.Machine, port}
				if other := taken[at]; other != "" && other != who {
					e.fail(newDecoder(e.reader, s, b).attrRange("compose"), "Port published twice",
						"On %s, port %d is published by %s and by %s, so the second of them could not start. Give them ports of their own, through env.", st.Machine, port, other, who)
				}
				taken[at] = who
			}
		}
	}
}

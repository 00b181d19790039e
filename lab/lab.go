package lab

import "encoding/json"

// Lab is one lab with every expression evaluated for one variant. It is what a run starts from, and what is
// frozen as lab.json in the run's folder: nothing in it refers to the host but Dir.
type Lab struct {
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	Story   Path     `json:"story,omitempty"`
	Dir     string   `json:"-"`              // the lab's folder; every Path is relative to it
	From    string   `json:"from,omitempty"` // where it was fetched from, with its checksum; empty: it is of this host's files
	Variant Variant  `json:"variant"`
	Expect  Verdict  `json:"expect"`
	Rate    Rate     `json:"rate,omitempty"`    // how often Expect must be got; empty: every time
	Needs   []Need   `json:"needs,omitempty"`   // of the driver
	Vagrant *Vagrant `json:"vagrant,omitempty"` // nil: saigen makes everything that Vagrant needs

	Images     []Image     `json:"images"`
	Machines   []Machine   `json:"machines"`
	Stacks     []Stack     `json:"stacks,omitempty"`
	Ready      []Assertion `json:"ready,omitempty"`
	Faults     []Fault     `json:"faults,omitempty"`
	Symptoms   []Assertion `json:"symptoms"`
	Invariants []Assertion `json:"invariants,omitempty"`
	Remedies   []Remedy    `json:"remedies,omitempty"`
}

// Untrusted says that nobody of this host has written or read the lab: it gets machines with a kernel of their own, and
// nothing of it runs on the host.
func (l *Lab) Untrusted() bool { return l.From != "" }

// Variant is one choice from every axis, in the order in which the lab declares the axes.
type Variant []Choice

// Choice is one axis and the value chosen from it.
type Choice struct {
	Axis  string `json:"axis"`
	Value string `json:"value"`
}

// String is the variant as the command line takes it: "debian:bookworm trigger:port_taken".
func (v Variant) String() string {
	s := ""
	for i, c := range v {
		if i > 0 {
			s += " "
		}
		s += c.Axis + ":" + c.Value
	}
	return s
}

// Image is a root filesystem, named by the hash of what it is built from. One of Debian, Go and OCI is set; Debian may have
// Go beside it, and only Debian has packages, C and NPM.
type Image struct {
	Name     string            `json:"name"`
	Debian   string            `json:"debian,omitempty"`   // suite: "bookworm"
	Snapshot string            `json:"snapshot,omitempty"` // snapshot.debian.org timestamp, "20240601T000000Z"; empty: the current archive
	Packages []string          `json:"packages,omitempty"`
	Go       Path              `json:"go,omitempty"`      // folder of a main package: /app alone, /usr/local/bin/<folder's name> in a Debian image
	Modules  map[string]string `json:"modules,omitempty"` // versions that replace those of the folder's go.mod, by module path
	C        []CProgram        `json:"c,omitempty"`
	NPM      Path              `json:"npm,omitempty"` // folder with package.json and package-lock.json: /srv/<folder's name>, its modules installed
	OCI      string            `json:"oci,omitempty"` // reference by digest
	Pos      Pos               `json:"-"`
}

// CProgram is a C source that is compiled when the image is built, with the image's own suite's gcc. The compiler is not in the image.
type CProgram struct {
	Output string   `json:"output"` // absolute path in the image: "/usr/local/lib/nosys.so"
	Source Path     `json:"source"` // one file
	Flags  []string `json:"flags,omitempty"`
}

// Need is something that not every driver gives to a machine.
type Need string

// The needs.
const (
	OwnKernel Need = "own_kernel"  // a kernel that the machine shares with nobody: its version, its limits, its sysctls
	OwnPIDMax Need = "own_pid_max" // a kernel.pid_max that the machine shares with nobody: a kernel of its own, or a pid namespace on Linux 6.14 and later
)

// Needs lists them all, for messages and completion.
func Needs() []Need { return []Need{OwnKernel, OwnPIDMax} }

// Vagrant says how the vagrant driver comes by the lab's machines. At most one of File and Box is set.
type Vagrant struct {
	File     Path   `json:"file,omitempty"`     // an existing Vagrantfile; the lab's machines are those that it defines, by name
	Box      string `json:"box,omitempty"`      // where to get the box from, as go-getter takes it; empty: made from the machine's image
	Checksum string `json:"checksum,omitempty"` // of the box: "sha256:…"
	Provider string `json:"provider,omitempty"` // empty: Vagrant's choice
	Pos      Pos    `json:"-"`
}

// Machine declares one Debian system with its own init.
type Machine struct {
	Name     string    `json:"name"`
	Image    ImageRef  `json:"image"` // may be empty where Lab.Vagrant names a file or a box
	Memory   Size      `json:"memory,omitempty"`
	CPUs     int       `json:"cpus,omitempty"`
	Accounts []Account `json:"accounts,omitempty"`
	Pos      Pos       `json:"-"`
}

// Account is a Linux user on a machine.
type Account struct {
	Name     string  `json:"name"`
	Session  Session `json:"session"`
	LoggedIn bool    `json:"logged_in,omitempty"` // besides, a login through PAM and logind is open from the start: a terminal
	Pos      Pos     `json:"-"`
}

// Session is the way in which an account is logged in while the lab runs commands as it.
type Session string

// The kinds of session. See docs/sessions.md for what each gives a process.
const (
	SessionLinger Session = "linger" // loginctl enable-linger; commands run under the user manager, nobody is logged in
	SessionLogin  Session = "login"  // a login through PAM and logind, open as long as the machine runs
	SessionSu     Session = "su"     // su - from root's login: no session of its own, no user manager
	SessionNone   Session = "none"   // setuid without PAM: no session, no XDG_RUNTIME_DIR
)

// Stack is one compose project, run by podman-compose as one account.
type Stack struct {
	Name     string            `json:"name"`
	Machine  MachineRef        `json:"machine"`
	Account  string            `json:"account"`
	Compose  Path              `json:"compose"`
	Env      map[string]string `json:"env,omitempty"` // becomes the project's .env file
	Images   []ImageRef        `json:"images,omitempty"`
	Services []Service         `json:"services,omitempty"` // in the order in which podman-compose starts them
	Files    []Path            `json:"files,omitempty"`    // what the compose file mounts from the lab's folder
	Pos      Pos               `json:"-"`
}

// Folder is where the stack's compose file lies on its machine. Its base name is podman-compose's project name.
func (s Stack) Folder() string { return "/home/" + s.Account + "/" + s.Name }

// Service finds a service by name.
func (s Stack) Service(name string) (Service, bool) {
	for _, v := range s.Services {
		if v.Name == name {
			return v, true
		}
	}
	return Service{}, false
}

// Service is one service of a stack, as its compose file declares it.
type Service struct {
	Name      string   `json:"name"`
	Container string   `json:"container"` // the container's name: container_name, or project_service_1
	Image     string   `json:"image"`
	Networks  []string `json:"networks,omitempty"`
	Ports     []int    `json:"ports,omitempty"` // published on the machine
}

// Fault is one declared fault: its kind, and that kind's settings.
type Fault struct {
	Kind     string          `json:"kind"`
	Name     string          `json:"name"`
	Settings json.RawMessage `json:"settings"`
	Do       Breaker         `json:"-"`
	Pos      Pos             `json:"-"`
}

// Address is how the lab file and the evidence name it: "fault.container_churn.deploys".
func (f Fault) Address() string { return "fault." + f.Kind + "." + f.Name }

// Assertion is one declared symptom, invariant or readiness probe.
type Assertion struct {
	Role     string          `json:"role"` // "symptom", "invariant" or "ready"
	Kind     string          `json:"kind"`
	Name     string          `json:"name"`
	Machine  MachineRef      `json:"machine"`          // where it is observed
	Every    Duration        `json:"every"`            // from the start of one look to the start of the next; looks never overlap
	Within   Duration        `json:"within,omitempty"` // a symptom must appear, a readiness probe must hold, in this time
	Hint     string          `json:"hint,omitempty"`   // what to look at when a readiness probe never holds
	Figures  []Figure        `json:"figures,omitempty"`
	Settings json.RawMessage `json:"settings"`
	Do       Observer        `json:"-"`
	Pos      Pos             `json:"-"`
}

// Figure is one number of an assertion that stands in the results, beside what the incident's report said.
type Figure struct {
	Name     string `json:"name"`               // "answers"
	Value    string `json:"value"`              // which of the assertion's numbers; see Measurer
	Unit     Unit   `json:"unit,omitempty"`     // how it is written; empty: a plain number
	Incident string `json:"incident,omitempty"` // what the report said of it, in its own words: "8"
}

// Unit is how a figure is written.
type Unit string

// The units.
const (
	Seconds Unit = "seconds" // as a duration
	Bytes   Unit = "bytes"   // as a size
	Percent Unit = "percent" // of a fraction of 1
)

// Units lists them all, for messages and completion.
func Units() []Unit { return []Unit{Seconds, Bytes, Percent} }

// Address is how the lab file and the evidence name it: "symptom.dns_answers.dead_addresses".
func (a Assertion) Address() string { return a.Role + "." + a.Kind + "." + a.Name }

// Remedy is what cured the incident, or what people tried that did not.
type Remedy struct {
	Name    string     `json:"name"`
	Machine MachineRef `json:"machine"`
	Account string     `json:"account"` // empty: root
	Run     Path       `json:"run"`     // a script; it runs in the machine, in the account's home
	Cures   bool       `json:"cures"`   // false: it must leave a symptom, or a stack that is not ready
	Soak    Duration   `json:"soak"`    // how long the symptoms must stay away
	Timeout Duration   `json:"timeout"`
	Pos     Pos        `json:"-"`
}

// Pos is a place in a lab file, for complaints that come after it was read.
type Pos struct {
	File         string
	Line, Column int
}

// PlaceError is a mistake in a file that a lab uses and that is not its lab file, such as a compose file.
type PlaceError struct {
	Pos     Pos    // File is relative to the lab's folder
	Summary string // short, no user names in it
	Detail  string // full sentences: what, why it matters, what to do
}

func (e *PlaceError) Error() string { return e.Summary + ": " + e.Detail }

// Place is where the mistake is.
func (e *PlaceError) Place() Pos { return e.Pos }

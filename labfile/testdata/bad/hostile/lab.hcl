lab "hostile" {
  title = file("/etc/passwd") # ERROR: Function calls not allowed; ERROR: Empty title
  story = "/etc/passwd" # ERROR: Path leaves the folder
}

axis "where" {
  values = ["../../etc", "-rf", "a/b", "%s"] # ERROR: Wrong axis value; ERROR: Wrong axis value; ERROR: Wrong axis value; ERROR: Wrong axis value
}

expect { verdict = "reproduced" }

image "options" {
  debian   = "--customize-hook=id" # ERROR: Wrong Debian suite
  snapshot = "20240601T000000Z/../.." # ERROR: Wrong snapshot
  packages = [
    "--hook-dir=/tmp", # ERROR: Wrong package name
    "-o",              # ERROR: Wrong package name
    "./evil.deb",      # ERROR: Wrong package name
    "/etc/passwd",     # ERROR: Wrong package name
    "systemd-",        # ERROR: Wrong package name
    "?essential",      # ERROR: Wrong package name
    "~nssh",           # ERROR: Wrong package name
    "a1,b2",           # ERROR: Wrong package name
    "a1 b2",           # ERROR: Wrong package name
    "podman/sid",      # ERROR: Wrong package name
    "podman:i386",     # ERROR: Wrong package name
    "podman=1 --x",    # ERROR: Wrong package name
  ]
}

image "folder" { oci = "dir:/var/lib/images/a@sha256:0000000000000000000000000000000000000000000000000000000000000000" } # ERROR: Image not named by digest

image "archive" { oci = "oci-archive:/root/a.tar@sha256:0000000000000000000000000000000000000000000000000000000000000000" } # ERROR: Image not named by digest

image "daemon" { oci = "docker-daemon:a@sha256:0000000000000000000000000000000000000000000000000000000000000000" } # ERROR: Image not named by digest

image "option" { oci = "--root=/@sha256:0000000000000000000000000000000000000000000000000000000000000000" } # ERROR: Image not named by digest

image "climbs" { oci = "registry.test/../a@sha256:0000000000000000000000000000000000000000000000000000000000000000" } # ERROR: Image not named by digest

image "from_home" { go = "~/src" } # ERROR: No such file

image "module" {
  go = "app"
  modules = {
    "example.test/m"       = "v1.2.3 -toolexec=id" # ERROR: Wrong module version
    "-modfile=/etc/passwd" = "v1.2.3"              # ERROR: Module that is not required
  }
}

image "project" {
  debian = "bookworm"
  npm    = "../app" # ERROR: Path leaves the folder

  c "../../usr/local/bin/x" { # ERROR: Wrong path in the image
    source = "-x.c" # ERROR: Wrong path … begins with "-"
  }

  c "/usr/local/bin/y" {
    source = "y.c"
    flags  = ["-o/usr/bin/id"] # ERROR: Wrong compiler flag
  }

  c "/usr/local/bin/z" {
    source = "y.c"
    flags  = ["@/etc/passwd"] # ERROR: Wrong compiler flag
  }
}

image "host" { debian = "bookworm" }

vagrant {
  provider = "--debug" # ERROR: Wrong provider
  file     = "Vagrant\u001b[2Jfile" # ERROR: Wrong path … cannot be printed
}

machine "a,readonly=off" { # ERROR: Wrong name
  image = image.host
}

machine "-snapshot" { # ERROR: Wrong name
  image = image.host
}

machine "server" {
  image = image.host
  account "../root" { session = "linger" } # ERROR: Wrong name
  account "-d" { session = "linger" } # ERROR: Wrong name
  account "a:b" { session = "linger" } # ERROR: Wrong name
  account "alice" { session = "linger; id" } # ERROR: Unknown session
}

stack "../../etc" { # ERROR: Wrong name
  machine = machine.server
  account = "alice"
  compose = "/etc/compose.yaml" # ERROR: Path leaves the folder
}

stack "web" {
  machine = machine.server
  account = "alice"
  compose = "y.c"
  env = { # ERROR: Wrong variable name; ERROR: Line break in a variable
    "LD_PRELOAD=/x" = "y"
    "A"             = "b\nPATH=/x"
  }
}

remedy "option" {
  machine = machine.server
  run     = "-c" # ERROR: Wrong path … begins with "-"
}

remedy "program" {
  machine = machine.server
  run     = "/bin/sh" # ERROR: Path leaves the folder
}

remedy "climbs" {
  machine = machine.server
  run     = "app/../../do.sh" # ERROR: Path leaves the folder
}

symptom "command" "fails" {
  machine = machine.server
  run     = ["false"]
}

remedy "secret" {
  machine = machine.server
  run     = env("HOME") # ERROR: Call to unknown function
}

remedy "read" {
  machine = machine.server
  run     = templatefile("/etc/passwd", {}) # ERROR: Call to unknown function
}

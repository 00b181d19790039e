lab "x" { # WARNING: Lab without a fault
  title = "x"
}

expect { verdict = "reproduced" }

image "paths" {
  debian = "bookworm"
  c "nosys.so" { source = "x.c" } # ERROR: Wrong path in the image … "nosys.so"
  c "/x" { source = "x.c" } # ERROR: Wrong path in the image
  c "/usr/../etc/x" { source = "x.c" } # ERROR: Wrong path in the image
  c "/run/x.so" { source = "x.c" } # ERROR: Wrong path in the image … /run
  c "/lib/x.so" { source = "x.c" } # ERROR: Wrong path in the image … Write "/usr/lib/x.so"
  c "/usr/local/lib/x.so" { source = "x.c" }
  c "/usr/local/lib/x.so" { source = "x.c" } # ERROR: Duplicate program
}

image "sources" {
  debian = "bookworm"
  c "/usr/local/bin/a" { source = "y.c" } # ERROR: No such file
  c "/usr/local/bin/b" { source = "src" } # ERROR: Not a file
  c "/usr/local/bin/c" { source = "../x.c" } # ERROR: Path leaves the folder
  c "/usr/local/bin/d" {} # ERROR: Missing argument … "source"
  c { source = "x.c" } # ERROR: Wrong number of names
}

image "flags" {
  debian = "bookworm"
  c "/usr/local/bin/a" {
    source = "x.c"
    flags  = ["-O2", "-o", "/tmp/x"] # ERROR: Wrong compiler flag … "-o"
  }
  c "/usr/local/bin/b" {
    source = "x.c"
    flags  = "-O2" # ERROR: Wrong type of value
  }
}

image "block" {
  debian = "bookworm"
  d "x" {} # ERROR: Unknown block … It takes "c"
}

image "from" {
  oci = "debian@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  c "/usr/local/bin/a" { source = "x.c" } # ERROR: Only for Debian images
}

image "host" { debian = "bookworm" }

machine "server" { image = image.host }

symptom "command" "fails" {
  machine = machine.server
  run     = ["false"]
}

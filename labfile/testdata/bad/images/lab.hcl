lab "x" { # WARNING: Lab without a fault
  title = "x"
}

expect { verdict = "reproduced" }

image "nothing" {} # ERROR: Image needs one origin

image "both" {
  debian = "bookworm"
  oci    = "debian@sha256:0000000000000000000000000000000000000000000000000000000000000000" # ERROR: Image needs one origin … "debian" and "oci"
}

image "packages" {
  go       = "./app"
  packages = ["podman"] # ERROR: Only for Debian images
  snapshot = "20240601T000000Z" # ERROR: Only for Debian images
}

image "project" {
  debian = "bookworm"
  npm    = "site" # ERROR: Project without its packages … package-lock.json
}

image "page" {
  debian = "bookworm"
  npm    = "site/package.json" # ERROR: Not a folder
}

image "site" {
  go  = "app"
  npm = "site" # ERROR: Only for Debian images; ERROR: Project without its packages
}

image "file" { go = "./compose.yaml" } # ERROR: Not a folder

image "moving" { debian = "stable" } # ERROR: Moving Debian suite

image "typo" { debian = "bookwrom" } # ERROR: Unknown Debian suite … Did you mean "bookworm"?

image "future" { debian = "zurg" } # WARNING: Unknown Debian suite

image "version" { debian = "12" } # ERROR: Wrong Debian suite

image "snapshot" {
  debian   = "bookworm"
  snapshot = "2024-06-01" # ERROR: Wrong snapshot
  packages = ["podman", "--foo", "Podman", "podman=4.3.1+ds1-8+b1"] # ERROR: Wrong package name … "--foo"; ERROR: Wrong package name … "Podman"
}

image "tag" { oci = "debian:12" } # ERROR: Image not named by digest

image "outside" { go = "../app" } # ERROR: Path leaves the folder

image "Upper" { debian = "bookworm" } # ERROR: Wrong name

machine "server" {
  image  = image.moving
  memory = "lots" # ERROR: Wrong size
  cpus   = 0 # ERROR: Wrong number of processors
}

machine "small" {
  image  = image.moving
  memory = "16MiB" # ERROR: Too little memory
  cpus   = "two" # ERROR: Wrong type of value
}

symptom "command" "fails" {
  machine = machine.server
  run     = ["false"]
}

lab "kinds" {
  title = "the kinds of docs/adding-a-fault.md and docs/adding-an-assertion.md"
}

expect {
  verdict = "not_reproduced"
}

image "server" {
  debian = "bookworm"
}

machine "server" {
  image = image.server
}

fault "file_missing" "no_time_zone" {
  machine = machine.server
  path    = "/etc/localtime"
}

symptom "memory" "almost_none" {
  machine   = machine.server
  available = "under 100MiB"
}

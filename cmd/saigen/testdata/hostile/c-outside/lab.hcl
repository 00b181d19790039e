# It tries: to have a file of the host compiled
# refused: Path leaves the folder

lab "c-outside" {
  title = "to have a file of the host compiled"
}

expect {
  verdict = "reproduced"
}

image "part" {
  debian = "bookworm"

  c "/usr/local/bin/x" {
    source = "../../../../../../etc/passwd"
  }
}

image "host" {
  debian = "bookworm"
}

machine "m" {
  image = image.host
}

symptom "command" "s" {
  machine   = machine.m
  run       = "true"
  within    = "5s"
  exit_code = "over 0"
}

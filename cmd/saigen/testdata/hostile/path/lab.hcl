# It tries: to send a file of the host into the machine as its remedy
# refused: Path leaves the folder

lab "path" {
  title = "to send a file of the host into the machine as its remedy"
}

expect {
  verdict = "reproduced"
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

remedy "r" {
  machine = machine.m
  run     = "../../../../etc/passwd"
}

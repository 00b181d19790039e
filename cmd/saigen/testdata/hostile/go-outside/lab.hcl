# It tries: to have a program of the host compiled
# refused: Path leaves the folder

lab "go-outside" {
  title = "to have a program of the host compiled"
}

expect {
  verdict = "reproduced"
}

image "part" {
  go = "../../../../image"
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

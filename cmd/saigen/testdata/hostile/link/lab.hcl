# It tries: the same by a link in its folder
# refused: path escapes from parent

lab "link" {
  title = "the same by a link in its folder"
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
  run     = "cure.sh"
}

# It tries: to have a folder of the host compiled by a link
# refused: path escapes from parent

lab "go-link" {
  title = "to have a folder of the host compiled by a link"
}

expect {
  verdict = "reproduced"
}

image "app" {
  go = "./app"
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

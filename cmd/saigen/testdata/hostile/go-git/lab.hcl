# It tries: to have git ask a host of its choice
# image: missing go.sum entry

lab "go-git" {
  title = "to have git ask a host of its choice"
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

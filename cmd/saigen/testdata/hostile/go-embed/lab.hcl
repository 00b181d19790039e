# It tries: to embed a file of the host by a link
# image: secret is not a plain file

lab "go-embed" {
  title = "to embed a file of the host by a link"
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

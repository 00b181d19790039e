# It tries: to have a C compiler run on the host
# image: build constraints exclude all Go files

lab "go-cgo" {
  title = "to have a C compiler run on the host"
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

# It tries: to have another toolchain downloaded and run
# image: GOTOOLCHAIN=local

lab "go-toolchain" {
  title = "to have another toolchain downloaded and run"
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

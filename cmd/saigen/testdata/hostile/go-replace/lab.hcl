# It tries: to have a module of the host compiled into its program
# refused: app/go.mod:7:1

lab "go-replace" {
  title = "to have a module of the host compiled into its program"
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

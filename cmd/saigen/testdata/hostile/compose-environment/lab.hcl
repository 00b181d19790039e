# It tries: to read the environment of whoever runs it
# refused: Variable not set

lab "compose-environment" {
  title = "to read the environment of whoever runs it"
}

expect {
  verdict = "reproduced"
}

image "host" {
  debian   = "bookworm"
  packages = ["podman", "podman-compose"]
}

machine "m" {
  image = image.host
  account "alice" { session = "linger" }
}

image "app" {
  debian = "bookworm"
}

stack "s" {
  machine = machine.m
  account = "alice"
  compose = "compose.yaml"
  images  = [image.app]
}

symptom "container" "s" {
  stack   = stack.s
  service = "app"
  state   = "exited"
  within  = "5s"
}

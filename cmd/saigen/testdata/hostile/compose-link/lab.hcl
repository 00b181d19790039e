# It tries: to bring a file of the host into the machine by a link in its folder
# refused: path escapes from parent

lab "compose-link" {
  title = "to bring a file of the host into the machine by a link in its folder"
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

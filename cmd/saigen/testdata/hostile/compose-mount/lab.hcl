# It tries: to mount a folder of the host into a container
# refused: Path outside the lab

lab "compose-mount" {
  title = "to mount a folder of the host into a container"
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

# It tries: whatever root can do in a machine to the host that it runs on
# machine: TestHostileMachine

lab "machine" {
  title = "whatever root can do in a machine to the host that it runs on"
}

expect {
  verdict = "reproduced"
}

image "web" {
  debian   = "bookworm"
  packages = ["nginx-light"]
}

machine "web" {
  image = image.web
}

fault "command" "everything_at_once" {
  machine = machine.web
  inject  = "attack.sh"
  verify  = "attacks.sh"
  heal    = "attacks.sh"
}

symptom "command" "host_is_lost" {
  machine   = machine.web
  run       = "test -e /host"
  exit_code = "exactly 0"
  every     = "1s"
  within    = "30s"
}

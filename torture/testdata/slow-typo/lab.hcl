lab "slow-typo" {
  title = "a typo in nginx's configuration that is found after a while: every phase takes a second or two"
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

fault "command" "typo" {
  machine = machine.web
  inject  = "typo.sh"
  verify  = "typo_is_there.sh"
  heal    = "take_typo_back.sh"
}

# Two seconds after the typo, and from then on.
symptom "command" "found_late" {
  machine   = machine.web
  run       = "test -n \"$(find /etc/nginx/conf.d -name new.conf -mmin +0.034)\" && nginx -t"
  exit_code = "over 0"
  stderr    = "unknown directive"
  within    = "15s"
}

invariant "http" "pages_are_served" {
  machine = machine.web
  url     = "http://localhost/"
  status  = 200
}

remedy "take_typo_back" {
  machine = machine.web
  run     = "take_typo_back.sh"
  soak    = "2s"
}

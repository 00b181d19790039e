lab "nginx-typo" {
  title = "a typo in nginx's configuration, and every page is served"
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

symptom "command" "would_not_start" {
  machine   = machine.web
  run       = "nginx -t"
  exit_code = "over 0"
  stderr    = "unknown directive"
  within    = "5s"
}

invariant "http" "pages_are_served" {
  machine = machine.web
  url     = "http://localhost/"
  status  = 200
}

lab "x" { # WARNING: Lab without a fault
  title = "x"
}

expect { verdict = "reproduced" }

image "host" { debian = "bookworm" }

machine "server" {
  image = image.host
  account "alice" { session = "lingr" } # ERROR: Unknown session … Did you mean "linger"?
  account "bob" { session = "su" }
  account "bob" { session = "none" } # ERROR: Duplicate account
  account "root" { session = "login" } # ERROR: Account root
  account "Carol" { session = "login" } # ERROR: Wrong name
  account { session = "login" } # ERROR: Wrong number of names
  account "dave" {} # ERROR: Missing argument
  account "eve" { session = "" } # ERROR: Unknown session
}

machine "other" {
  image = image.host
  acount "alice" { session = "linger" } # ERROR: Unknown block … Did you mean "account"?
  image { name = "host" } # ERROR: Argument written as a block
}

machine "third" {
  image   = image.host
  account = "alice" # ERROR: Block written as an argument
}

symptom "command" "fails" {
  machine = machine.server
  run     = ["false"]
}

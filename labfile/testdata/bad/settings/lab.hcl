lab "x" {
  title = "x"
}

expect { verdict = "reproduced" }

image "host" { debian = "bookworm" }

machine "server" {
  image = image.host
  account "alice" { session = "linger" }
  account "bob" { session = "su" }
}

stack "alice" {
  machine = machine.server
  account = "alice"
  compose = "compose.yaml"
}

fault "container_churn" "unknown_service" {
  stack   = stack.alice
  service = "ap" # ERROR: Unknown service … Did you mean "app"?
  round   = 3 # ERROR: Unknown argument … Did you mean "rounds"?
}

fault "container_churn" "missing" { # ERROR: Missing argument … "service"
  stack  = stack.alice
  rounds = "many" # ERROR: Wrong type of value
  kill {
    after = "soon" # ERROR: Wrong duration
    befor = "1s" # ERROR: Unknown argument
  }
  kill { # ERROR: Second block of its kind
    after = "1s"
  }
}

fault "container_churn" "forms" {
  stack   = stack.alice
  service = "app"
  kill    = "1s" # ERROR: Block written as an argument
  rounds { # ERROR: Argument written as a block
  }
}

fault "session_kill" "more" {
  stack   = stack.alice
  account = "carol" # ERROR: Unknown account … It has "alice" and "bob"
  sizes   = ["1GiB", "1G"] # ERROR: Wrong size
  weights = { a = "x" } # ERROR: Wrong type of value
  script  = "gone.sh" # ERROR: No such file
  factor  = true # ERROR: Wrong type of value
  limits  = { a = "more" } # ERROR: Wrong limit
  step "a" {} # ERROR: Missing argument … "pause"
  step { # ERROR: Wrong number of names
    pause = "1s"
  }
  step "b" {
    pause = 5 # ERROR: Wrong duration
  }
}

symptom "dns_answers" "idle" { # ERROR: Assertion that cannot fail
  stack = stack.alice
  from  = "app"
  name  = "app"
}

symptom "dns_answers" "below" {
  stack = stack.alice
  from  = "app"
  name  = "app"
  over  = -1 # ERROR: Number below zero
  every = "0s" # ERROR: Time that is zero
}

symptom "dns_answers" "inner" {
  stack = stack.alice
  from  = "app"
  name  = "dead"
  only {
    dead = true # ERROR: Dead and dead
  }
}

symptom "dns_answers" "inner_service" {
  stack = stack.alice
  from  = "app"
  name  = "app"
  only {
    service = "prox" # ERROR: Unknown service … Did you mean "proxy"?
  }
}

symptom "http_latency" "limit" {
  stack  = stack.alice
  url    = "https://localhost:4433/" # ERROR: Port not published … 4430 (proxy)
  p95    = "above 3s" # ERROR: Wrong limit
  wihtin = "2m" # ERROR: Unknown argument … Did you mean "within"?
}

symptom "http" "default_port" {
  stack  = stack.alice
  url    = "http://127.0.0.1/" # ERROR: Port not published … port 80
  every  = "-1s" # ERROR: Wrong duration
  within = 3 # ERROR: Wrong duration
}

symptom "http" "no_scheme" {
  stack = stack.alice
  url   = "localhost:4430" # ERROR: Wrong URL
}

symptom "http" "port" {
  stack = stack.alice
  url   = "http://localhost:99999/" # ERROR: Wrong URL
}

symptom "http" "elsewhere" {
  stack  = stack.alice
  url    = "http://example.test:81/"
  every  = "0s" # ERROR: Time that is zero
  within = "0s" # ERROR: Time that is zero
}

invariant "log" "pattern" {
  stack   = stack.alice
  service = "proxy"
  match   = "(" # ERROR: Wrong pattern
  within  = "1s" # ERROR: Unknown argument
}

invariant "command" "nowhere" { # ERROR: Nowhere to look
  run = ["true"]
}

invariant "command" "nobody" {
  account = "alice" # ERROR: Account without a machine
  run     = ["true"]
}

invariant "lonely" "x" {
  machine = machine.server
  service = "app" # ERROR: Service without a stack
}

invariant "command" "number" {
  machine = machine.server
  run     = ["true", null] # ERROR: Wrong type of value
}

ready "http" "page" {
  stack = stack.alice
  url   = "https://localhost:4430/"
  hint  = ["look"] # ERROR: Wrong type of value
}

lab "agent-leak" {
  title = "an agent's memory grows with every client that it has ever had"
  story = "incident.md"
}

axis "zmq4" {
  values = ["v0.15.0", "v0.16.0", "v0.17.0"]
}

# Whether each client has an identity of its own, which is go-zeromq's default, or all have the same.
axis "identity" {
  values = ["new", "fixed"]
}

expect {
  zmq4     = "v0.15.0"
  identity = "new"
  verdict  = "reproduced"
}

expect {
  zmq4     = "v0.15.0"
  identity = "fixed"
  verdict  = "not_reproduced"
}

expect {
  zmq4    = ["v0.16.0", "v0.17.0"]
  verdict = "not_reproduced"
}

# Which Debian does not matter to the agent. bookworm's podman-compose 1.0.3 gives a service its default network beside
# network_mode, and podman refuses.
image "host" {
  debian   = "trixie"
  packages = ["curl", "dbus-user-session", "netavark", "podman", "podman-compose", "uidmap"]
  go       = "./client"
}

image "agent" {
  go      = "./agent"
  modules = { "github.com/go-zeromq/zmq4" = axis.zmq4 }
}

image "agent_upgraded" {
  go      = "./agent"
  modules = { "github.com/go-zeromq/zmq4" = "v0.17.0" }
}

machine "server" {
  image = image.host

  account "alice" { session = "linger" }
}

stack "alice" {
  machine = machine.server
  account = "alice"
  compose = "compose.yaml"
  images  = [image.agent, image.agent_upgraded]
  env     = { AGENT = "agent" }
}

ready "http" "agent_serves" {
  machine = machine.server
  url     = "http://localhost:6060/stats"
  status  = 200
  hint    = "the agent says in its log why it ended: podman logs agent, as alice"
}

# One request a minute, as the QA test made them, 180,000 times as fast. The clients are processes of their own.
fault "leaky_agent" "qa_test" {
  stack      = stack.alice
  service    = "agent"
  drive      = concat(["client", "-n", "250", "-clients", "8"], axis.identity == "fixed" ? ["-identity", "qa"] : [])
  batch      = 250
  clients    = 2
  per_second = 3000
}

symptom "growth" "heap_bytes" {
  of "heap_profile" "bytes" {
    machine = machine.server
    url     = "http://localhost:6060/debug/pprof/heap"
  }

  per "http" "number" {
    machine = machine.server
    url     = "http://localhost:6060/stats"
    number  = "requests ([0-9]+)"
  }

  slope  = "over 1000"
  across = "at least 2000"
  every  = "1s"
  within = "30s"

  # The diary's rate, for as long as a month.
  project {
    every = "1m"
    over  = "720h"
  }

  figure "bytes_per_connection" { value = "slope" }

  figure "bytes_in_30_days" {
    value    = "projected"
    unit     = "bytes"
    incident = "about 60 MB"
  }
}

symptom "growth" "heap_objects" {
  of "heap_profile" "objects" {
    machine = machine.server
    url     = "http://localhost:6060/debug/pprof/heap"
  }

  per "http" "number" {
    machine = machine.server
    url     = "http://localhost:6060/stats"
    number  = "requests ([0-9]+)"
  }

  slope  = "over 10"
  across = "at least 2000"
  every  = "1s"
  within = "30s"

  figure "objects_per_connection" { value = "slope" }
}

# What top shows as RES. A collector's heap breathes by more than two thousand connections leak, so this needs many.
symptom "growth" "resident_memory" {
  of "process" "memory" {
    stack   = stack.alice
    cmdline = "^/app"
  }

  per "http" "number" {
    machine = machine.server
    url     = "http://localhost:6060/stats"
    number  = "requests ([0-9]+)"
  }

  slope  = "over 500"
  across = "at least 50000"
  every  = "500ms"

  # A busy host takes its time for so many. Where nothing leaks, the heap has said so long before.
  within = axis.zmq4 == "v0.15.0" && axis.identity == "new" ? "8m" : "30s"

  project {
    every = "1m"
    over  = "720h"
    limit = "at most 1GiB" # a small machine's memory
  }

  figure "resident_bytes_per_connection" { value = "slope" }

  figure "memory_ends_after" {
    value = "ends"
    unit  = "seconds"
  }
}

# Where all of it was allocated: nothing but connections that were accepted once.
symptom "heap_profile" "accepted_connections" {
  machine  = machine.server
  url      = "http://localhost:6060/debug/pprof/heap"
  function = "zmq4\\.\\(\\*socket\\)\\.accept"
  share    = "over 0.9"
  bytes    = "over 2MB"
  every    = "2s"
  within   = "40s"

  figure "share_of_accept" {
    value = "share"
    unit  = "percent"
  }
}

# Nobody noticed for weeks, because it works. With an identity of its own that it keeps, this client leaks nothing.
invariant "command" "it_answers" {
  machine = machine.server
  account = "alice"
  argv    = ["client", "-identity", "probe", "-patience", "20s"]
  exit    = 0
}

# What is lost is memory, and no goroutines.
invariant "command" "goroutines_stay" {
  machine = machine.server
  account = "alice"
  run     = "curl -sS --retry 20 --retry-all-errors --retry-delay 1 'http://localhost:6060/debug/pprof/goroutine?debug=1' | head -n 1"
  stdout  = "total [0-9]{1,2}\n"
}

remedy "restart" {
  machine = machine.server
  account = "alice"
  run     = "remedies/restart.sh"
  cures   = false
  soak    = "10s"
}

remedy "upgrade" {
  machine = machine.server
  account = "alice"
  run     = "remedies/upgrade.sh"
  soak    = "10s"
}

lab "zombie-exhaustion" {
  title = "the node is NotReady: a monitoring agent's zombies have taken every process number"
  story = "incident.md"
  needs = ["own_pid_max"]
}

axis "agent" {
  values = ["bad", "fixed", "bad_with_init", "bad_host_pid", "limited"]
}

expect {
  agent   = "bad"
  verdict = "reproduced"
}

expect {
  agent   = "fixed"
  verdict = "not_reproduced"
}

expect {
  agent   = "bad_with_init"
  verdict = "not_reproduced"
}

expect {
  agent   = "bad_host_pid"
  verdict = "not_reproduced"
}

# The bad agent again, but its account runs into ulimit -u before the node runs into pid_max. The leak ends by itself there, and
# nobody notices anything.
expect {
  agent   = "limited"
  verdict = "not_reproduced"
}

image "host" {
  debian   = "trixie"
  packages = ["aardvark-dns", "dbus-user-session", "netavark", "nftables", "passt", "podman", "podman-compose", "uidmap"]
}

image "agent" {
  debian   = "bookworm"
  packages = ["catatonit"]
  go       = "./agent"

  c "/usr/local/lib/nosys.so" {
    source = "nosys.c"
    flags  = ["-shared", "-fPIC"]
  }

  c "/usr/local/lib/nosys-fixed.so" {
    source = "nosys-fixed.c"
    flags  = ["-shared", "-fPIC"]
  }
}

image "kubelet" {
  debian = "bookworm"
  go     = "./kubelet"
}

machine "node" {
  image = image.host

  account "datadog" { session = "linger" }
  account "kubelet" { session = "linger" }
}

stack "kubelet" {
  machine = machine.node
  account = "kubelet"
  compose = "kubelet.yaml"
  images  = [image.kubelet]
}

# The agent makes a hundred checks a second from the start, in both arms. It ran four a minute: the lab is 1500 times as fast.
stack "agent" {
  machine = machine.node
  account = "datadog"
  compose = "agent.yaml"
  images  = [image.agent]
  env = {
    CHECKS_PER_SECOND = "100"
    PROCESS_1         = axis.agent == "bad_with_init" ? "/usr/bin/catatonit" : "/usr/local/bin/agent"
    PID               = axis.agent == "bad_host_pid" ? "host" : "private"
    LIBRARY           = ""
    NEXT              = axis.agent == "fixed" ? "/usr/local/lib/nosys-fixed.so" : "/usr/local/lib/nosys.so"
  }
}

# Not the cause, but what makes it short: a node with 32768 process numbers lasts for days. Every variant has it.
fault "sysctl" "small_node" {
  machine = machine.node
  name    = "kernel.pid_max"
  value   = "1500"
}

fault "command" "update" {
  machine = machine.node
  account = "datadog"
  inject  = "update/inject.sh"
  verify  = "update/verify.sh"
  heal    = "update/heal.sh"
}

fault "limits" "ulimit" {
  when     = axis.agent == "limited"
  machine  = machine.node
  account  = "datadog"
  resource = "nproc"
  value    = 500
}

symptom "growth" "zombies_per_check" {
  of "process" "processes" {
    stack   = stack.agent
    service = "agent"
    state   = "Z"
  }

  per "file" "size" {
    machine = machine.node
    path    = "/home/datadog/.local/share/containers/storage/volumes/checks/_data/checks"
  }

  slope  = "0.95 to 1.05"
  across = "at least 200"
  every  = "300ms"
  within = "25s"

  # Four checks a minute, on a node with the kernel's default of 32768.
  project {
    every = "15s"
    over  = "120h"
    limit = "at most 32768"
  }

  figure "zombies_per_check" {
    value = "slope"
  }

  figure "pid_max_32768_ends" {
    value    = "ends"
    unit     = "seconds"
    incident = "5 days"
  }

  figure "times_as_fast" {
    value = "faster"
  }
}

symptom "process" "zombies" {
  stack   = stack.agent
  service = "agent"
  state   = "Z"
  count   = "at least 300"
  every   = "1s"
  within  = "25s"
}

symptom "log" "cannot_fork" {
  stack   = stack.agent
  service = "agent"
  match   = "fork/exec /usr/bin/uname: resource temporarily unavailable"
  every   = "500ms"
  within  = "25s"
}

symptom "log" "aws_node_unhealthy" {
  stack   = stack.kubelet
  service = "kubelet"
  match   = "aws-node is unhealthy: .*(failed to create new OS thread|resource temporarily unavailable)"
  every   = "500ms"
  within  = "25s"
}

# Twice NotReady: it was Ready in between.
symptom "log" "node_flaps" {
  stack   = stack.kubelet
  service = "kubelet"
  match   = "node is NotReady: mount failed: fork/exec /usr/bin/mount: resource temporarily unavailable"
  count   = "at least 2"
  every   = "500ms"
  within  = "25s"
}

# What everybody looks at first.
invariant "file" "ulimit_is_far" {
  machine = machine.node
  path    = "/proc/1/limits"
  match   = "^Max processes +(unlimited|[0-9]{4,}) "
  every   = "1s"
}

invariant "file" "memory_is_fine" {
  machine = machine.node
  path    = "/proc/meminfo"
  match   = "^MemAvailable: +[0-9]{6,} kB$"
  every   = "1s"
}

remedy "restart" {
  machine = machine.node
  account = "datadog"
  run     = "remedies/restart.sh"
  cures   = false
}

remedy "raise_pid_max" {
  machine = machine.node
  run     = "remedies/raise_pid_max.sh"
  cures   = false
}

remedy "fixed_library" {
  machine = machine.node
  account = "datadog"
  run     = "remedies/fixed_library.sh"
  soak    = "4s"
}

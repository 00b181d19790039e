lab "broken" {
  title = "stacks that cannot come up: what is said first is why"
}

axis "mistake" {
  values = ["port_busy", "no_program", "exits", "exits_later", "restarts", "dependency"]
}

expect { verdict = "reproduced" }

# The images are those of stale-dns, so that they are there already. Where the port is busy it is trixie's, whose
# podman-compose can give a service the machine's network.
image "host" {
  debian = axis.mistake == "port_busy" ? "trixie" : "bookworm"
  packages = concat(
    ["aardvark-dns", "dbus-user-session", "netavark", "podman", "podman-compose", "uidmap"],
    axis.mistake == "port_busy" ? ["nftables", "passt"] : ["iptables", "slirp4netns"],
  )
}

image "nginx" {
  debian   = "bookworm"
  packages = ["nginx-light", "ssl-cert"]
}

machine "server" {
  image = image.host

  account "alice" { session = "linger" }
}

# It publishes nothing, so nobody can know before it runs that it takes the port.
stack "holder" {
  when    = axis.mistake == "port_busy"
  machine = machine.server
  account = "alice"
  compose = "holder.yaml"
  images  = [image.nginx]
}

stack "web" {
  machine = machine.server
  account = "alice"
  compose = "${axis.mistake}.yaml"
  images  = [image.nginx]
}

ready "http" "serves" {
  stack  = stack.web
  url    = "http://localhost:4430/"
  status = 200
  within = "20s"
}

symptom "http" "is_down" {
  stack  = stack.web
  url    = "http://localhost:4430/"
  status = 502
}

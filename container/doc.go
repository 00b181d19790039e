// Package container is the driver that runs machines as system containers: systemd as PID 1, cgroup v2, a network
// without a way out. It is the only room that knows testcontainers-go, podman's service and the Docker API.
//
// By default it starts an engine of its own for every run: podman's service, in namespaces that end with it, with
// storage of its own. Nothing of the user's containers, networks, firewall or cgroup mounts is touched, and killing one
// cgroup of the host takes all of it away. It must not know what a machine is used for: no labs' faults, no stacks.
package container

module agent

go 1.21

require github.com/go-zeromq/zmq4 v0.17.0

require (
	golang.org/x/sync v0.7.0 // indirect
)

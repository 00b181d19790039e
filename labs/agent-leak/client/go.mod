module agent-leak/client

go 1.25

require github.com/go-zeromq/zmq4 v0.17.0

require (
	golang.org/x/sync v0.7.0 // indirect
	golang.org/x/text v0.15.0 // indirect
)

module app

go 1.21

require metadata.example.com/x.git/y v1.0.0

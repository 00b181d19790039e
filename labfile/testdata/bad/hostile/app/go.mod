module app

go 1.21

require example.test/m v1.0.0

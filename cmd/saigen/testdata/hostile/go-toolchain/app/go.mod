module app

go 9.99

toolchain go9.99.1

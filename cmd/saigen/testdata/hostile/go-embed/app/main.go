package main

import _ "embed"

//go:embed secret
var secret string

func main() { print(secret) }

package main

import "example.com/x"

func main() { print(x.X) }

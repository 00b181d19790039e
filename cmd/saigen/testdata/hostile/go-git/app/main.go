package main

import "metadata.example.com/x.git/y"

func main() { y.Y() }

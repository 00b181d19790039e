package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
)

// seed is the flag --seed, as -shuffle of go test: off, on, or a number; 0: off. "on" chooses a number, which the run prints.
type seed uint64

func (s *seed) String() string {
	if *s == 0 {
		return "off"
	}
	return strconv.FormatUint(uint64(*s), 10)
}

// Type is its name in help texts that give none.
func (*seed) Type() string { return "order" }

// Set takes what is on the command line.
func (s *seed) Set(text string) error {
	switch text {
	case "off":
		*s = 0
		return nil
	case "on":
		*s = seed(1 + rand.Uint32N(999_999)) // short enough to be typed again
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 {
		return fmt.Errorf("write off, on, or a number of at least 1")
	}
	*s = seed(n)
	return nil
}

package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/saigen-lab/saigen/lab"
)

// shard is one of several parts of all variants of all labs of a command line: the variants are dealt out in their
// order, so that the parts are of one size, and each variant is in exactly one of them.
type shard struct {
	i, n int // 1 ≤ i ≤ n
	next int // number of the next variant
}

// parseShard reads "2/5". Empty is everything.
func parseShard(s string) (*shard, error) {
	if s == "" {
		return &shard{i: 1, n: 1}, nil
	}
	a, b, _ := strings.Cut(s, "/")
	i, err := strconv.Atoi(a)
	n, err2 := strconv.Atoi(b)
	if err != nil || err2 != nil || i < 1 || i > n {
		return nil, fmt.Errorf("--shard takes i/n, such as 2/5 for the second of five parts, not %q", s)
	}
	return &shard{i: i, n: n}, nil
}

// take returns those of the next variants that are in the shard.
func (s *shard) take(labs []*lab.Lab) []*lab.Lab {
	var mine []*lab.Lab
	for _, l := range labs {
		if s.next%s.n == s.i-1 {
			mine = append(mine, l)
		}
		s.next++
	}
	return mine
}

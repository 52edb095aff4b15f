package main

// The load of tests/bench/workload/src/lib.rs, byte for byte: a change there must be made here too.

import (
	"fmt"
	"time"
)

const (
	keyBytes   = 33
	valueBytes = 128
	poolBytes  = 1 << 20
	poolStep   = 7919
)

// random is the generator xorshift64*.
type random uint64

func newRandom() *random {
	r := random(88172645463325252)
	return &r
}

func (r *random) next() uint64 {
	*r ^= *r << 13
	*r ^= *r >> 7
	*r ^= *r << 17
	return uint64(*r) * 0x2545F4914F6CDD1D
}

func (r *random) below(end int) int {
	return int((r.next() >> 32) * uint64(end) >> 32)
}

// load is puts over keys, in rounds over all keys, each in a new random order.
type load struct {
	keys  [][]byte
	order []int32
	pool  []byte
}

func newLoad(keys, puts int) *load {
	rng := newRandom()
	l := &load{keys: make([][]byte, keys), order: make([]int32, 0, puts), pool: make([]byte, poolBytes)}
	round := make([]int32, keys)
	for i := range round {
		round[i] = int32(i)
		l.keys[i] = []byte(fmt.Sprintf("/registry/pods/ns-%04d/p-%08d", i/1000, i))
	}
	for len(l.order) < puts {
		for i := len(round) - 1; i > 0; i-- {
			j := rng.below(i + 1)
			round[i], round[j] = round[j], round[i]
		}
		n := puts - len(l.order)
		if n > len(round) {
			n = len(round)
		}
		l.order = append(l.order, round[:n]...)
	}
	for i := range l.pool {
		l.pool[i] = byte(rng.next())
	}
	return l
}

func (l *load) value(put int) []byte {
	start := put * poolStep % (poolBytes - valueBytes)
	return l.pool[start : start+valueBytes]
}

// expected answers for a thousand random keys which put was their newest among the first so many, -1 if none was.
func (l *load) expected(puts int) (keys []int, newest []int) {
	last := make([]int, len(l.keys))
	for i := range last {
		last[i] = -1
	}
	for put, key := range l.order[:puts] {
		last[key] = put
	}
	for _, key := range l.picks(1000) {
		keys, newest = append(keys, key), append(newest, last[key])
	}
	return keys, newest
}

func (l *load) picks(count int) []int {
	rng, picks := newRandom(), make([]int, count)
	for i := range picks {
		picks[i] = rng.below(len(l.keys))
	}
	return picks
}

func (l *load) intervalStarts(count, length int) []int {
	rng, starts := newRandom(), make([]int, count)
	for i := range starts {
		starts[i] = rng.below(len(l.keys) - length)
	}
	return starts
}

func tell(name string, value float64) {
	fmt.Printf("%s %.6f\n", name, value)
}

func tellRate(name string, times int, took time.Duration) {
	tell(name, float64(times)/took.Seconds())
}

func millis(d time.Duration) float64 {
	return d.Seconds() * 1e3
}

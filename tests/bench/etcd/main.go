// Measures the mvcc store of etcd 3.4 in its own process, on its bbolt backend: `etcdmvcc serving|shrinking FOLDER KEYS PUTS` or
// `etcdmvcc compaction FOLDER KEYS PUTS quiet|loaded`. It is built against Debian's golang-etcd-server-dev:
// GO111MODULE=off GOPATH=/usr/share/gocode go build
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"go.etcd.io/etcd/lease"
	"go.etcd.io/etcd/mvcc"
	"go.etcd.io/etcd/mvcc/backend"
	"go.etcd.io/etcd/pkg/traceutil"
	"go.uber.org/zap"
)

const (
	gets         = 200000
	ranges       = 500
	limited      = 50
	rangeEntries = 1000
	counts       = 10
	views        = 200000
)

// consistentIndex stands for raft's, which nothing moves here.
type consistentIndex struct{}

func (consistentIndex) ConsistentIndex() uint64 { return 0 }

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func open(folder string) (mvcc.KV, backend.Backend) {
	config := backend.DefaultBackendConfig()
	config.Path = filepath.Join(folder, "db")
	be := backend.New(config)
	return mvcc.NewStore(zap.NewNop(), be, &lease.FakeLessor{}, consistentIndex{}, mvcc.StoreConfig{}), be
}

func main() {
	if len(os.Args) < 5 {
		must(fmt.Errorf("usage: etcdmvcc serving|shrinking|compaction FOLDER KEYS PUTS [quiet|loaded]"))
	}
	keys, err := strconv.Atoi(os.Args[3])
	must(err)
	puts, err := strconv.Atoi(os.Args[4])
	must(err)
	folder, err := os.MkdirTemp(os.Args[2], "etcdmvcc")
	must(err)
	defer os.RemoveAll(folder)
	l := newLoad(keys, puts)
	switch os.Args[1] {
	case "compaction":
		measureCompaction(folder, l, len(os.Args) > 5 && os.Args[5] == "loaded")
	case "shrinking":
		measureShrinking(folder, l)
	default:
		measureServing(folder, l)
	}
}

func heap() uint64 {
	runtime.GC()
	debug.FreeOSMemory()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func fill(s mvcc.KV, l *load, from, to int) {
	for put := from; put < to; put++ {
		s.Put(l.keys[l.order[put]], l.value(put), lease.NoLease)
	}
}

func measureServing(folder string, l *load) {
	s, be := open(folder)
	start := time.Now()
	fill(s, l, 0, len(l.order))
	tellRate("put_per_s", len(l.order), time.Since(start))
	start = time.Now()
	s.Commit()
	tell("flush_ms", millis(time.Since(start)))
	// Empty commits drop the read buffer of the last large batch, which every read copies: etcd's best case.
	for i := 0; i < 4; i++ {
		s.Commit()
	}
	tell("file_bytes", float64(be.Size()))
	tell("used_bytes", float64(be.SizeInUse()))

	past := int64(len(l.order) / 2)
	head, old := timeGets(s, l, 0), timeGets(s, l, past)
	tellRate("get_head_per_s", gets, head)
	tellRate("get_past_per_s", gets, old)
	tell("get_past_per_head_time", old.Seconds()/head.Seconds())
	measureRanges(s, l, past)
	measureViews(s)
	verify(s, l, 0, len(l.order))
	verify(s, l, past, int(past)-1)

	must(s.Close())
	must(be.Close())
	runtime.GC()
	start = time.Now()
	s, be = open(folder)
	tell("reopen_ms", millis(time.Since(start)))
	verify(s, l, 0, len(l.order))
	must(s.Close())
	must(be.Close())
	measureHeap(folder, l)
}

func timeGets(s mvcc.KV, l *load, revision int64) time.Duration {
	picks := l.picks(gets)
	start := time.Now()
	for _, key := range picks {
		answer, err := s.Range(l.keys[key], nil, mvcc.RangeOptions{Rev: revision})
		must(err)
		if len(answer.KVs) != 1 {
			must(fmt.Errorf("a key is missing"))
		}
	}
	return time.Since(start)
}

func timeRanges(s mvcc.KV, l *load, revision int64) time.Duration {
	starts := l.intervalStarts(ranges, rangeEntries)
	start := time.Now()
	for _, from := range starts {
		answer, err := s.Range(l.keys[from], l.keys[from+rangeEntries], mvcc.RangeOptions{Rev: revision})
		must(err)
		if len(answer.KVs) != rangeEntries {
			must(fmt.Errorf("a range has %d entries", len(answer.KVs)))
		}
	}
	return time.Since(start)
}

func measureRanges(s mvcc.KV, l *load, past int64) {
	head, old := timeRanges(s, l, 0), timeRanges(s, l, past)
	tellRate("range_head_per_s", ranges, head)
	tellRate("range_head_records_per_s", ranges*rangeEntries, head)
	tellRate("range_past_per_s", ranges, old)
	tellRate("range_past_records_per_s", ranges*rangeEntries, old)
	start := time.Now()
	for _, from := range l.intervalStarts(limited, rangeEntries) {
		answer, err := s.Range(l.keys[from], []byte("0"), mvcc.RangeOptions{Limit: rangeEntries})
		must(err)
		if len(answer.KVs) != rangeEntries {
			must(fmt.Errorf("a limited range has %d entries", len(answer.KVs)))
		}
	}
	tellRate("limit_open_range_per_s", limited, time.Since(start))
	start = time.Now()
	for i := 0; i < counts; i++ {
		answer, err := s.Range([]byte("/"), []byte("0"), mvcc.RangeOptions{Count: true})
		must(err)
		if answer.Count != len(l.keys) {
			must(fmt.Errorf("%d keys in place of %d", answer.Count, len(l.keys)))
		}
	}
	tell("count_all_ms", millis(time.Since(start))/counts)
}

func measureViews(s mvcc.KV) {
	start := time.Now()
	for i := 0; i < views; i++ {
		s.Read(traceutil.TODO()).End()
	}
	tell("snapshot_ns", float64(time.Since(start).Nanoseconds())/views)
}

func verify(s mvcc.KV, l *load, revision int64, puts int) {
	keys, newest := l.expected(puts)
	for i, key := range keys {
		answer, err := s.Range(l.keys[key], nil, mvcc.RangeOptions{Rev: revision})
		must(err)
		is := len(answer.KVs) == 1 && newest[i] >= 0 && bytes.Equal(answer.KVs[0].Value, l.value(newest[i]))
		if !is {
			must(fmt.Errorf("%s has another value than was put", l.keys[key]))
		}
	}
}

// measureHeap loads anew, so that the heap after the first put of every key is seen too.
func measureHeap(folder string, l *load) {
	folder = filepath.Join(folder, "heap")
	must(os.Mkdir(folder, 0o700))
	s, be := open(folder)
	held := func() float64 {
		for i := 0; i < 4; i++ {
			s.Commit()
		}
		return float64(heap())
	}
	empty := held()
	fill(s, l, 0, len(l.keys))
	allKeys := held()
	fill(s, l, len(l.keys), len(l.order))
	allPuts := held()
	tell("heap_per_key", (allKeys-empty)/float64(len(l.keys))-keyBytes)
	tell("heap_per_further_revision", (allPuts-allKeys)/float64(len(l.order)-len(l.keys)))
	must(s.Close())
	must(be.Close())
}

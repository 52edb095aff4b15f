package main

import (
	"fmt"
	"sort"
	"sync"
	"time"

	"go.etcd.io/etcd/lease"
	"go.etcd.io/etcd/mvcc"
	"go.etcd.io/etcd/pkg/traceutil"
)

// Between two calls of the reader and the writer.
const callPause = 100 * time.Microsecond

// measureCompaction compacts at the newest revision. etcd 3.4 walks all revisions in batches of 1000 with a pause of
// 10 ms after each, which can't be configured.
func measureCompaction(folder string, l *load, loaded bool) {
	s, be := open(folder)
	fill(s, l, 0, len(l.order))
	s.Commit()
	time.Sleep(200 * time.Millisecond)
	tell("file_bytes_before", float64(be.Size()))
	revision, dead := s.Rev(), len(l.order)-len(l.keys)
	tell("dead_records", float64(dead))
	compact := func() {
		start := time.Now()
		done, err := s.Compact(traceutil.TODO(), revision)
		must(err)
		tell("compact_call_us", float64(time.Since(start).Nanoseconds())/1e3)
		<-done
		s.Commit()
		took := time.Since(start)
		tell("total_ms", millis(took))
		tell("records_per_s", float64(dead)/took.Seconds())
	}
	if loaded {
		whileServing(s, l, "", compact)
	} else {
		compact()
	}
	answer, err := s.Range([]byte("/"), []byte("0"), mvcc.RangeOptions{Count: true})
	must(err)
	if answer.Count != len(l.keys) {
		must(fmt.Errorf("%d keys are left of %d", answer.Count, len(l.keys)))
	}
	tell("file_bytes_after", float64(be.Size()))
	tell("used_bytes_after", float64(be.SizeInUse()))
	must(s.Close())
	must(be.Close())
}

func whileServing(s mvcc.KV, l *load, prefix string, work func()) {
	stop := make(chan struct{})
	var both sync.WaitGroup
	paced := func(samples *[]time.Duration, call func(key int)) {
		defer both.Done()
		for _, key := range l.picks(1 << 20) {
			select {
			case <-stop:
				return
			default:
			}
			start := time.Now()
			call(key)
			*samples = append(*samples, time.Since(start))
			time.Sleep(callPause)
		}
	}
	var reads, writes []time.Duration
	both.Add(2)
	go paced(&reads, func(key int) {
		_, err := s.Range(l.keys[key], nil, mvcc.RangeOptions{})
		must(err)
	})
	go paced(&writes, func(key int) { s.Put(l.keys[key], l.value(key), lease.NoLease) })
	work()
	close(stop)
	both.Wait()
	tellSamples(prefix+"get", reads)
	tellSamples(prefix+"put", writes)
}

func tellSamples(name string, samples []time.Duration) {
	if len(samples) == 0 {
		return
	}
	sort.Slice(samples, func(i, j int) bool { return samples[i] < samples[j] })
	micros := func(place int) float64 { return float64(samples[place].Nanoseconds()) / 1e3 }
	tell(name+"_p50_us", micros(len(samples)/2))
	tell(name+"_p99_us", micros(len(samples)*99/100))
	tell(name+"_slowest_us", micros(len(samples)-1))
}

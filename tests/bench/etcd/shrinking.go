package main

import (
	"time"

	"go.etcd.io/etcd/pkg/traceutil"
)

// measureShrinking defragments a file of which a compaction has freed most. Nothing else works meanwhile: etcd locks the backend.
func measureShrinking(folder string, l *load) {
	s, be := open(folder)
	fill(s, l, 0, len(l.order))
	s.Commit()
	done, err := s.Compact(traceutil.TODO(), s.Rev())
	must(err)
	<-done
	s.Commit()
	time.Sleep(200 * time.Millisecond)
	tell("shrink_file_bytes_before", float64(be.Size()))
	tell("shrink_used_bytes_before", float64(be.SizeInUse()))
	var took time.Duration
	whileServing(s, l, "shrink_", func() {
		start := time.Now()
		must(be.Defrag())
		took = time.Since(start)
	})
	tell("shrink_total_ms", millis(took))
	tell("shrink_file_bytes_after", float64(be.Size()))
	must(s.Close())
	must(be.Close())
}

// For Go's race detector: eight goroutines with a lock, or (argument `race`) without.
package main

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

func main() {
	var lock sync.Mutex
	var group sync.WaitGroup
	var counted int64
	shared := map[int]int{}
	racy := len(os.Args) > 1
	total := 0
	for g := 0; g < 8; g++ {
		group.Add(1)
		go func(g int) {
			defer group.Done()
			for i := 0; i < 2000; i++ {
				lock.Lock()
				shared[i%100] += g
				lock.Unlock()
				atomic.AddInt64(&counted, 1)
				if racy {
					total++
				}
			}
		}(g)
	}
	group.Wait()
	sum := 0
	for _, v := range shared {
		sum += v
	}
	fmt.Println(sum, counted)
}

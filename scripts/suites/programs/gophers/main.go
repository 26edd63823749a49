// Goroutines, channels, timers, net/http over loopback, preemption of loops without calls, nil dereferences, signals and
// children.
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A pipeline of n stages.
func pipeline(n, values int) int {
	first := make(chan int)
	in := first
	for i := 0; i < n; i++ {
		out := make(chan int, i%3)
		go func(in, out chan int) {
			for v := range in {
				out <- v + 1
			}
			close(out)
		}(in, out)
		in = out
	}
	go func() {
		for i := 0; i < values; i++ {
			first <- i
		}
		close(first)
	}()
	sum := 0
	for v := range in {
		sum += v
	}
	return sum
}

// Loops without a call or an allocation are stopped by a signal, else the collector would wait for ever.
func preemption() string {
	runtime.GOMAXPROCS(2)
	var stop int32
	var spun [4]uint64
	var group sync.WaitGroup
	for i := range spun {
		group.Add(1)
		go func(n *uint64) {
			defer group.Done()
			for atomic.LoadInt32(&stop) == 0 {
				*n++
			}
		}(&spun[i])
	}
	for i := 0; i < 20; i++ {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	for i := range spun {
		for atomic.LoadUint64(&spun[i]) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	atomic.StoreInt32(&stop, 1)
	group.Wait()
	return "all loops ran and stopped"
}

func nilDereferences() int {
	caught := 0
	for i := 0; i < 1000; i++ {
		func() {
			defer func() {
				if recover() != nil {
					caught++
				}
			}()
			var p *[4]int
			p[i%4] = i
		}()
	}
	return caught
}

func requests() int64 {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %d", r.URL.Path, len(body))
	}))
	defer server.Close()
	var right int64
	var group sync.WaitGroup
	for c := 0; c < 16; c++ {
		group.Add(1)
		go func(c int) {
			defer group.Done()
			for i := 0; i < 50; i++ {
				answer, err := http.Post(fmt.Sprintf("%s/%d/%d", server.URL, c, i), "text/plain", strings.NewReader(strings.Repeat("z", i*100)))
				if err != nil {
					fmt.Println(err)
					return
				}
				text, _ := io.ReadAll(answer.Body)
				answer.Body.Close()
				if string(text) == fmt.Sprintf("/%d/%d %d", c, i, i*100) {
					atomic.AddInt64(&right, 1)
				}
			}
		}(c)
	}
	group.Wait()
	return right
}

func signals() int {
	received := make(chan os.Signal, 1)
	signal.Notify(received, syscall.SIGUSR1, syscall.SIGUSR2)
	n := 0
	for i := 0; i < 200; i++ {
		syscall.Kill(os.Getpid(), []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2}[i%2])
		<-received
		n++
	}
	signal.Stop(received)
	return n
}

func children() int64 {
	var right int64
	var group sync.WaitGroup
	for i := 0; i < 20; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			out, err := exec.Command("sh", "-c", fmt.Sprintf("echo $((%d * 3))", i)).Output()
			if err == nil && string(out) == fmt.Sprintln(i*3) {
				atomic.AddInt64(&right, 1)
			}
		}(i)
	}
	group.Wait()
	return right
}

func garbage() int {
	total := 0
	var group sync.WaitGroup
	var lock sync.Mutex
	for g := 0; g < 8; g++ {
		group.Add(1)
		go func() {
			defer group.Done()
			kept := map[int][]byte{}
			for i := 0; i < 20000; i++ {
				kept[i%100] = make([]byte, i%700)
			}
			lock.Lock()
			total += len(kept)
			lock.Unlock()
		}()
	}
	group.Wait()
	return total
}

func main() {
	fmt.Println("pipeline", pipeline(100, 500))
	fmt.Println("preemption", preemption())
	fmt.Println("nil", nilDereferences())
	fmt.Println("requests", requests())
	fmt.Println("signals", signals())
	fmt.Println("children", children())
	fmt.Println("garbage", garbage())
	timeouts := 0
	for i := 0; i < 50; i++ {
		select {
		case <-time.After(time.Millisecond):
			timeouts++
		case <-make(chan int):
		}
	}
	fmt.Println("timeouts", timeouts)
}

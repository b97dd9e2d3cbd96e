package cache

import (
	"io"
	"net"
	"sync"
)

// buffered puts a buffer behind an in-memory connection to a server, as the network
// has one. Without it, a client that is still writing a long pipeline and a server
// that already answers it would wait for each other.
func buffered(server net.Conn) net.Conn {
	client, far := net.Pipe()
	go func() {
		_, _ = io.Copy(server, far)
		server.Close()
	}()
	var (
		mu      sync.Mutex
		more    = sync.NewCond(&mu)
		pending []byte
		ended   bool
	)
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := server.Read(buf)
			mu.Lock()
			pending, ended = append(pending, buf[:n]...), err != nil
			more.Signal()
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	go func() {
		defer far.Close()
		for {
			mu.Lock()
			for len(pending) == 0 && !ended {
				more.Wait()
			}
			out := pending
			pending = nil
			mu.Unlock()
			if len(out) == 0 {
				return
			}
			if _, err := far.Write(out); err != nil {
				return
			}
		}
	}()
	return client
}

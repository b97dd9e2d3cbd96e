package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// another is a cache that is not ours, in front of the bare handlers.
type another struct {
	name    string
	url     string
	process procTree
}

// A procTree is a process with all its children, or with pid 0 this one.
type procTree struct{ pid int }

// cpu is the time that the processor has given to it.
func (p procTree) cpu(b *testing.B) time.Duration {
	b.Helper()
	if p.pid == 0 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	var ticks int64
	for _, pid := range p.tree() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		for _, field := range fields[11:13] { // utime and stime: proc(5)
			n, _ := strconv.ParseInt(field, 10, 64)
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond // a tick is 1/100 s on every Linux that Go knows
}

// tree lists a process and its descendants.
func (p procTree) tree() []int {
	pids := []int{p.pid}
	for i := 0; i < len(pids); i++ {
		children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pids[i]))
		for _, file := range children {
			list, _ := os.ReadFile(file)
			for _, child := range strings.Fields(string(list)) {
				if pid, err := strconv.Atoi(child); err == nil {
					pids = append(pids, pid)
				}
			}
		}
	}
	return pids
}

// startNginx caches what is behind by all that the service's answers depend on.
func startNginx(b *testing.B, behind string) []another {
	return launch(b, "nginx", behind, `
worker_processes 1;
daemon off;
pid %[1]s/pid;
error_log stderr error;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/f;
  uwsgi_temp_path %[1]s/u;
  scgi_temp_path %[1]s/s;
  proxy_cache_path %[1]s/cache keys_zone=pages:8m;
  server {
    listen %[2]s;
    location / {
      proxy_pass %[3]s;
      proxy_cache pages;
      proxy_cache_key "$request_uri|$http_authorization|$http_accept_language|$http_x_ff_feed_v2|$http_accept_encoding";
      proxy_cache_valid 200 1h;
      proxy_ignore_headers Cache-Control Vary;
      proxy_set_header Accept-Encoding $http_accept_encoding;
      proxy_set_header If-None-Match "";
    }
  }
}
`, func(config, _ string) []string { return []string{"-c", config, "-e", "stderr"} })
}

// startVarnish does the same.
func startVarnish(b *testing.B, behind string) []another {
	host := strings.TrimPrefix(behind, "http://")
	name, port, _ := net.SplitHostPort(host)
	return launch(b, "varnishd", behind, `vcl 4.1;
# %[1]s %[2]s %[3]s
backend bare { .host = "`+name+`"; .port = "`+port+`"; }
sub vcl_recv { return (hash); }
sub vcl_hash {
  hash_data(req.url);
  hash_data(req.http.Authorization + "|" + req.http.Accept-Language + "|" + req.http.X-FF-Feed-V2);
  return (lookup);
}
sub vcl_backend_response { set beresp.ttl = 1h; unset beresp.http.Vary; return (deliver); }
`, func(config, listen string) []string {
		return []string{"-F", "-n", filepath.Dir(config), "-a", listen, "-f", config, "-s", "malloc,64m"}
	})
}

// launch starts a cache with a configuration (of its folder, its address and what is
// behind it) until the benchmark ends; none where it is not installed.
func launch(b *testing.B, program, behind, config string, args func(config, listen string) []string) []another {
	b.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		b.Logf("%s is not installed, and is left out", program)
		return nil
	}
	dir, err := os.MkdirTemp("", "floor")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	listen := l.Addr().String()
	_ = l.Close()
	file := filepath.Join(dir, "config")
	if err := os.WriteFile(file, fmt.Appendf(nil, config, dir, listen, behind), 0o644); err != nil {
		b.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil { // its workers may be another user
		b.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command(path, args(file, listen)...)
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = 5 * time.Second // its workers hold the pipes too
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	for limit := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if response, err := http.Get("http://" + listen + "/"); err == nil {
			_ = response.Body.Close()
			return []another{{name: program, url: "http://" + listen, process: procTree{cmd.Process.Pid}}}
		}
		if time.Now().After(limit) {
			b.Fatalf("%s does not answer:\n%s", program, said.String())
		}
	}
}

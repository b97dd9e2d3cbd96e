package cachehttp

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/redis/go-redis/v9"

	"example.com/communityfeed/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// BenchmarkStored is one response stored in a real Redis and read from it once, as it is
// and compressed: its bytes, and the processor's time of this process and of Redis. The
// network is loopback, where bytes are cheapest.
func BenchmarkStored(b *testing.B) {
	options, err := redis.ParseURL(testenv.Redis(b))
	if err != nil {
		b.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	encode := func(b *testing.B, level zstd.EncoderLevel) *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderCRC(false))
		if err != nil {
			b.Fatal(err)
		}
		return e
	}
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		b.Fatal(err)
	}
	defer decoder.Close()
	for _, of := range []struct {
		name string
		body []byte
	}{{"feed", feedLike(9649)}, {"products", productsLike(20)}} {
		for _, as := range []struct {
			name    string
			encoder *zstd.Encoder
		}{{"plain", nil}, {"fastest", encode(b, zstd.SpeedFastest)}, {"default", encode(b, zstd.SpeedDefault)}} {
			b.Run(of.name+"/"+as.name, func(b *testing.B) {
				ctx, key, size := b.Context(), testenv.Prefix(b)+"response", 0
				r := newResponse("application/json", "", 0, of.body)
				own, server := cpu(b, client)
				for b.Loop() {
					stored, _ := codec{}.Encode(r)
					if as.encoder != nil {
						stored = as.encoder.EncodeAll(stored, nil)
					}
					size = len(stored)
					if err := client.Set(ctx, key, stored, time.Minute).Err(); err != nil {
						b.Fatal(err)
					}
					got, err := client.Get(ctx, key).Bytes()
					if err == nil && as.encoder != nil {
						got, err = decoder.DecodeAll(got, nil)
					}
					if err != nil {
						b.Fatal(err)
					}
					if _, err := (codec{}).Decode(got); err != nil {
						b.Fatal(err)
					}
				}
				ownNow, serverNow := cpu(b, client)
				b.ReportMetric(float64(size), "bytes")
				b.ReportMetric((ownNow-own)/float64(b.N)*1e6, "own-µs/op")
				b.ReportMetric((serverNow-server)/float64(b.N)*1e6, "redis-µs/op")
			})
		}
	}
}

// cpu returns the seconds of the processor that this process and Redis have had.
func cpu(b *testing.B, client *redis.Client) (own, server float64) {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	own = time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
	info, err := client.Info(b.Context(), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_user" || name == "used_cpu_sys" {
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil {
				b.Fatal(err)
			}
			server += seconds
		}
	}
	return own, server
}

// productsLike is JSON as a list of products has it.
func productsLike(n int) []byte {
	b := []byte(`{"items":[`)
	for i := range n {
		b = fmt.Appendf(b, `{"id":%d,"name":"%s %d","category":"%s","price":{"amount":%d,"currency":"EUR"},"stock":%d,"version":%d,"updatedAt":"2026-11-%02dT10:%02d:00Z"},`,
			7000+i, []string{"Atlas", "Lamp", "Kettle", "Chair", "Notebook"}[i*7%5], i*37%91, []string{"books", "garden", "kitchen"}[i*5%3], 499+i*7919%9000, i*31%97, 1+i%4, 1+i%28, i*13%60)
	}
	return append(b[:len(b)-1], `],"page":1,"perPage":20,"total":412}`...)
}

// Command labapp is what runs in the pods of the lab's cluster: an application that says who answered
// whom, and `labapp pause`, which only holds a pod's namespaces.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

const lineEvery = 100 * time.Millisecond

// answer is what every path gets: who served, and the client as the ingress controller told it.
type answer struct {
	Worker string `json:"worker"`
	Pod    string `json:"pod"`
	Client string `json:"client"`
	Told   string `json:"forwarded_for"`
	Proto  string `json:"proto"`
	// nobody tells these to a pod
	Pop  *string `json:"pop"`
	Port *int    `json:"port"`
}

func main() {
	ended, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 1 && os.Args[1] == "pause" {
		<-ended.Done()
		return
	}
	listen := "[::]:8080"
	if len(os.Args) > 1 {
		listen = os.Args[1]
	}
	server := &http.Server{Addr: listen, Handler: http.HandlerFunc(serve), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ended.Done()
		// a pod leaves the endpoints a moment after it is told to end: it serves until that was seen
		time.Sleep(grace())
		closing, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = server.Shutdown(closing)
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, "labapp:", err)
		os.Exit(1)
	}
}

func grace() time.Duration {
	seconds, err := strconv.ParseFloat(os.Getenv("GRACE_S"), 64)
	if err != nil {
		return 2 * time.Second
	}
	return time.Duration(seconds * float64(time.Second))
}

func serve(writer http.ResponseWriter, request *http.Request) {
	peer, _, _ := net.SplitHostPort(request.RemoteAddr)
	seen := answer{
		Worker: os.Getenv("NODE_NAME"),
		Pod:    os.Getenv("POD_NAME"),
		Client: request.Header.Get("X-Real-Ip"),
		Told:   request.Header.Get("X-Forwarded-For"),
		Proto:  request.Header.Get("X-Forwarded-Proto"),
	}
	if seen.Client == "" {
		seen.Client = peer
	}
	line, _ := json.Marshal(seen)
	line = append(line, '\n')
	writer.Header().Set("Content-Type", "application/json")
	lines := 1
	if request.URL.Path == "/stream" {
		lines, _ = strconv.Atoi(request.URL.Query().Get("lines"))
	}
	flusher, _ := writer.(http.Flusher)
	for n := 0; lines == 0 || n < lines; n++ {
		if _, err := writer.Write(line); err != nil {
			return
		}
		if n+1 < lines || lines == 0 {
			flusher.Flush()
			select {
			case <-request.Context().Done():
				return
			case <-time.After(lineEvery):
			}
		}
	}
}

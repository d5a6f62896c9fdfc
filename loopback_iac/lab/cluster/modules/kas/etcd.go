package main

import (
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
)

// store runs one etcd member without peers until it is told to end. It does not sync to disk: what
// the lab keeps is worth nothing after the machine has gone.
func store(args []string) int {
	if len(args) != 2 {
		fmt.Fprintln(os.Stderr, "labkube etcd: DIR CLIENT-URL, as in: labkube etcd /tmp/etcd http://127.0.0.1:2379")
		return 2
	}
	client, err := url.Parse(args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "labkube etcd:", err)
		return 2
	}
	config := embed.NewConfig()
	config.Name = "lab"
	config.Dir = args[0]
	config.LogLevel = "error"
	config.UnsafeNoFsync = true
	config.ListenClientUrls = []url.URL{*client}
	config.AdvertiseClientUrls = []url.URL{*client}
	// One member has no peers: nothing listens for them, and the address it would give is never dialled.
	config.ListenPeerUrls = nil
	config.AdvertisePeerUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:1"}}
	config.InitialCluster = config.InitialClusterFromName(config.Name)

	member, err := embed.StartEtcd(config)
	if err != nil {
		fmt.Fprintln(os.Stderr, "labkube etcd:", err)
		return 1
	}
	defer member.Close()
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
	select {
	case <-ended:
		return 0
	case err := <-member.Err():
		fmt.Fprintln(os.Stderr, "labkube etcd:", err)
		return 1
	}
}

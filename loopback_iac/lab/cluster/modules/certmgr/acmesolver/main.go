// Command acmesolver answers one HTTP-01 challenge: the flags are those that cert-manager gives the
// solver pods that it makes.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/cert-manager/cert-manager/pkg/issuer/acme/http/solver"
	"github.com/go-logr/logr"
)

func main() {
	answer := &solver.HTTP01Solver{}
	flag.IntVar(&answer.ListenPort, "listen-port", 8089, "port to listen at")
	flag.StringVar(&answer.Domain, "domain", "", "name that is validated")
	flag.StringVar(&answer.Token, "token", "", "token of the challenge")
	flag.StringVar(&answer.Key, "key", "", "answer to the challenge")
	flag.Parse()
	fmt.Fprintln(os.Stderr, "acmesolver:", answer.Listen(logr.Discard()))
	os.Exit(1)
}

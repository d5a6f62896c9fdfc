// Command cegp says what Cilium's agent itself makes of CiliumEgressGatewayPolicy objects: JSON objects
// on standard input, one line of JSON each on standard output, the agent's complaint or an empty one.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cilium/cilium/pkg/egressgateway"
	v2 "github.com/cilium/cilium/pkg/k8s/apis/cilium.io/v2"
)

type verdict struct {
	Name  string `json:"name"`
	Error string `json:"error"`
}

func main() {
	objects, verdicts := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		policy := &v2.CiliumEgressGatewayPolicy{}
		if err := objects.Decode(policy); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			fmt.Fprintln(os.Stderr, "cegp:", err)
			os.Exit(2)
		}
		answer := verdict{Name: policy.Name}
		if _, err := egressgateway.ParseCEGP(policy); err != nil {
			answer.Error = err.Error()
		}
		if err := verdicts.Encode(answer); err != nil {
			fmt.Fprintln(os.Stderr, "cegp:", err)
			os.Exit(1)
		}
	}
}

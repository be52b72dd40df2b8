package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxWeight bounds the weight of a node.
const maxWeight = 1000

// checkWeights gives the addresses of weights the form that nodes have. With static nodes alone it is known whom they may name.
func (c *checker) checkWeights(cl *Cluster, path string) {
	seen := make(map[string]bool)
	for i, entry := range cl.Weights {
		at := element(path+".weights", i)
		name, number, _ := strings.Cut(entry, "=")
		address, err := nodeAddress(name)
		weight, bad := strconv.Atoi(strings.TrimSpace(number))
		switch {
		case err != nil || bad != nil || weight < 0 || weight > maxWeight:
			c.fault(at, c.shown(at, entry)+fmt.Sprintf(" must be host:port=number, from 0 to %d", maxWeight), `write "10.0.0.12:5432=3"`)
			continue
		case seen[address]:
			c.fault(at, c.shown(at, entry)+" is there twice", "")
		case len(cl.Patroni.URLs)+len(cl.Etcd.Endpoints) == 0 && !slices.Contains(cl.Nodes, address):
			c.fault(at, c.shown(at, entry)+" is none of the nodes", "one of "+orList(cl.Nodes))
		}
		seen[address] = true
		cl.Weights[i] = address + "=" + strconv.Itoa(weight)
	}
}

// NodeWeights returns Weights by the node's address.
func (cl *Cluster) NodeWeights() map[string]int {
	weights := make(map[string]int, len(cl.Weights))
	for _, entry := range cl.Weights {
		name, number, _ := strings.Cut(entry, "=")
		if weight, err := strconv.Atoi(number); err == nil {
			weights[name] = weight
		}
	}
	return weights
}

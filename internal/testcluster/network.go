package testcluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
)

// ErrNoNetwork says that this process cannot make network namespaces.
var ErrNoNetwork = errors.New("members that live apart need root and the program ip (Debian: iproute2)")

const (
	loopback     = "127.0.0.1"
	loopbackOnly = loopback + "/32"

	networkTries = 50
	networks     = 256                 // 198.18.0.0/24 to 198.18.255.0/24: nobody routes them (RFC 2544)
	lostAddress  = "02:00:00:00:00:ff" // no interface has it
	cableEnd     = "eth0"              // in a place

	ourHost    = 1 // the last number of an address: of this process
	firstNode  = 11
	firstEtcd  = 101
	firstGuest = 201
)

// network joins the members of a cluster that live apart: a bridge in a network namespace of its own, from which a cable leads to each
// place, and one to this process. nil: everybody lives at loopback.
type network struct {
	number int
	hub    *netspace

	mu struct {
		sync.Mutex
		places []*Place
		guests int
	}
}

// Place is where a member of a cluster lives, or a guest of its network: on a host of its own, as far as the network goes. All methods may be
// called from any goroutine; nil is this machine's loopback.
type Place struct {
	net   *network
	name  string
	host  string
	space *netspace
}

// newNetwork makes a network without places.
func newNetwork() (*network, error) {
	if _, err := exec.LookPath("ip"); err != nil || os.Geteuid() != 0 {
		return nil, ErrNoNetwork
	}
	hub, err := newNetspace()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoNetwork, err)
	}
	n := &network{hub: hub}
	if err := n.lay(); err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

// lay builds the bridge and the cable to this process, whose name makes the network's number ours alone.
func (n *network) lay() error {
	if err := n.hub.ip("link set lo up", "link add hub type bridge", "link set hub up"); err != nil {
		return err
	}
	var own *netspace
	var err error
	for range networkTries {
		n.number = rand.IntN(networks)
		if err = own.ip(fmt.Sprintf("link add %s type veth peer name us netns %s", n.ours(), n.hub.path())); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	if err := own.ip(fmt.Sprintf("addr add %s/24 dev %s", n.host(ourHost), n.ours()), "link set "+n.ours()+" up"); err != nil {
		return err
	}
	return n.hub.ip("link set us master hub", "link set us up")
}

// ours is the name of the interface through which this process sees the network.
func (n *network) ours() string { return "pgrouter" + strconv.Itoa(n.number) }

func (n *network) host(last int) string { return fmt.Sprintf("198.18.%d.%d", n.number, last) }

// addresses are all those of the network, in pg_hba.conf's words.
func (n *network) addresses() string {
	if n == nil {
		return loopbackOnly
	}
	return n.host(0) + "/24"
}

// place makes one; with nil, loopback.
func (n *network) place(name string, last int) (*Place, error) {
	if n == nil {
		return nil, nil
	}
	space, err := newNetspace()
	if err != nil {
		return nil, err
	}
	p := &Place{net: n, name: name, host: n.host(last), space: space}
	n.mu.Lock()
	n.mu.places = append(n.mu.places, p)
	n.mu.Unlock()
	if err := n.hub.ip(fmt.Sprintf("link add %s type veth peer name %s netns %s", name, cableEnd, space.path()),
		"link set "+name+" master hub", "link set "+name+" up"); err != nil {
		return nil, err
	}
	return p, space.ip("link set lo up", fmt.Sprintf("addr add %s/24 dev %s", p.host, cableEnd), "link set "+cableEnd+" up")
}

// guest makes a place for somebody who is no member.
func (n *network) guest() (*Place, error) {
	n.mu.Lock()
	number := n.mu.guests
	n.mu.guests++
	n.mu.Unlock()
	return n.place("g"+strconv.Itoa(number+1), firstGuest+number)
}

// close takes everything apart. Nobody lives there any more.
func (n *network) close() error {
	if n == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var errs []error
	for _, p := range n.mu.places {
		errs = append(errs, p.space.close())
	}
	return errors.Join(append(errs, n.hub.close())...)
}

// ip runs commands of the program ip in the namespace.
func (n *netspace) ip(commands ...string) error {
	for _, c := range commands {
		err := n.do(func() error {
			out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput()
			if err != nil {
				return fmt.Errorf("ip %s: %w: %s", c, err, strings.TrimSpace(string(out)))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Host returns the address without a port.
func (p *Place) Host() string {
	if p == nil {
		return loopback
	}
	return p.host
}

// at returns the address with a port.
func (p *Place) at(port int) string { return net.JoinHostPort(p.Host(), strconv.Itoa(port)) }

// Start starts a command that lives there.
func (p *Place) Start(cmd *exec.Cmd) error {
	if p == nil {
		return cmd.Start()
	}
	return p.space.do(cmd.Start)
}

// Unplug pulls the place's cable: nobody reaches it, and it reaches nobody. What is sent is lost in silence.
func (p *Place) Unplug() error { return p.net.hub.ip("link set " + p.name + " down") }

// Plug puts the cable back.
func (p *Place) Plug() error { return p.net.hub.ip("link set " + p.name + " up") }

// Part lets nothing pass between two places, in silence; everybody else reaches both.
func (p *Place) Part(other *Place) error {
	return p.both(other, "neigh replace %s lladdr "+lostAddress+" dev %s nud permanent")
}

// Meet ends Part.
func (p *Place) Meet(other *Place) error { return p.both(other, "neigh del %s dev %s") }

func (p *Place) both(other *Place, command string) error {
	return errors.Join(p.space.ip(fmt.Sprintf(command, other.host, cableEnd)), other.space.ip(fmt.Sprintf(command, p.host, cableEnd)))
}

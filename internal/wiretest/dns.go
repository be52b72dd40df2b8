package wiretest

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// DNS is a DNS server on loopback, over UDP and TCP, that answers what the test wants.
type DNS struct {
	Addr string

	packets net.PacketConn
	streams net.Listener
	serving sync.WaitGroup
	mu      struct {
		sync.Mutex
		zone  map[string]DNSAnswer
		asked map[string]int
		conns map[net.Conn]bool
	}
}

// DNSAnswer is what a name leads to.
type DNSAnswer struct {
	TTL    uint32
	IPs    []string          // A and AAAA
	SRV    map[string]uint16 // targets with their ports
	Code   dnsmessage.RCode  // of a failure
	Silent bool              // no answer at all
	Long   bool              // it does not fit into a packet: the client has to come back by TCP
}

// negativeTTL is for how long it may be kept that there is no such name.
const negativeTTL = 1

// ServeDNS runs a server until the test ends. It knows no name.
func ServeDNS(t testing.TB) *DNS {
	t.Helper()
	d := &DNS{}
	d.mu.zone, d.mu.asked, d.mu.conns = map[string]DNSAnswer{}, map[string]int{}, map[net.Conn]bool{}
	for d.packets == nil {
		streams, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if d.packets, err = net.ListenPacket("udp", streams.Addr().String()); err != nil {
			streams.Close() // somebody else has that port
			d.packets = nil
			continue
		}
		d.streams, d.Addr = streams, streams.Addr().String()
	}
	d.serving.Go(d.servePackets)
	d.serving.Go(d.serveStreams)
	t.Cleanup(d.close)
	return d
}

// Set says what a name leads to from now on.
func (d *DNS) Set(name string, a DNSAnswer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.zone[rooted(name)] = a
}

// Asked returns how many questions for a name have come.
func (d *DNS) Asked(name string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.asked[rooted(name)]
}

func rooted(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") + "." }

func (d *DNS) close() {
	_ = d.packets.Close() // nobody is there to be told
	d.streams.Close()
	d.mu.Lock()
	for c := range d.mu.conns {
		c.Close()
	}
	d.mu.Unlock()
	d.serving.Wait()
}

func (d *DNS) servePackets() {
	const most = 4096
	b := make([]byte, most)
	for {
		n, from, err := d.packets.ReadFrom(b)
		if err != nil {
			return
		}
		if answer := d.answer(b[:n], false); answer != nil {
			_, _ = d.packets.WriteTo(answer, from) // who asked may be gone
		}
	}
}

func (d *DNS) serveStreams() {
	for {
		c, err := d.streams.Accept()
		if err != nil {
			return
		}
		d.mu.Lock()
		d.mu.conns[c] = true
		d.mu.Unlock()
		d.serving.Go(func() { d.serveStream(c) })
	}
}

func (d *DNS) serveStream(c net.Conn) {
	defer c.Close()
	var length [2]byte
	for {
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return
		}
		b := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		answer := d.answer(b, true)
		if answer == nil {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// answer makes the answer to a question, nil for none.
func (d *DNS) answer(question []byte, stream bool) []byte {
	var p dnsmessage.Parser
	header, err := p.Start(question)
	if err != nil {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	d.mu.Lock()
	name := strings.ToLower(q.Name.String())
	d.mu.asked[name]++
	a, known := d.mu.zone[name]
	d.mu.Unlock()
	if a.Silent {
		return nil
	}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: header.ID, Response: true, RecursionDesired: true, RecursionAvailable: true, RCode: a.Code},
		Questions: []dnsmessage.Question{q},
	}
	if !known {
		m.RCode = dnsmessage.RCodeNameError
	}
	if a.Long && !stream {
		m.Truncated = true
	} else if m.RCode == dnsmessage.RCodeSuccess {
		m.Answers = a.resources(q)
	}
	if len(m.Answers) == 0 && (m.RCode == dnsmessage.RCodeSuccess || m.RCode == dnsmessage.RCodeNameError) {
		m.Authorities = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: negativeTTL},
			Body:   &dnsmessage.SOAResource{NS: q.Name, MBox: q.Name, MinTTL: negativeTTL},
		}}
	}
	packed, err := m.Pack()
	if err != nil {
		return nil
	}
	return packed
}

// resources are the records of the type that is asked for.
func (a DNSAnswer) resources(q dnsmessage.Question) []dnsmessage.Resource {
	var all []dnsmessage.Resource
	add := func(body dnsmessage.ResourceBody) {
		all = append(all, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: a.TTL}, Body: body})
	}
	for _, text := range a.IPs {
		ip, err := netip.ParseAddr(text)
		switch {
		case err != nil:
		case ip.Is4() && q.Type == dnsmessage.TypeA:
			add(&dnsmessage.AResource{A: ip.As4()})
		case ip.Is6() && q.Type == dnsmessage.TypeAAAA:
			add(&dnsmessage.AAAAResource{AAAA: ip.As16()})
		}
	}
	if q.Type != dnsmessage.TypeSRV {
		return all
	}
	for target, port := range a.SRV {
		if name, err := dnsmessage.NewName(rooted(target)); err == nil {
			add(&dnsmessage.SRVResource{Target: name, Port: port})
		}
	}
	return all
}

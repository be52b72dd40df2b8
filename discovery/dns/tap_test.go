package dns

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func addressesOf(t *testing.T, text string) (all []netip.Addr) {
	t.Helper()
	for one := range strings.FieldsSeq(text) {
		a, err := netip.ParseAddr(one)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	return all
}

// message makes an answer with these TTLs, and a SOA with these when it has none.
func message(t testing.TB, code dnsmessage.RCode, ttls []uint32, soa, minimum uint32) []byte {
	t.Helper()
	name := dnsmessage.MustNewName("db.test.")
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{Response: true, RCode: code},
		Questions: []dnsmessage.Question{{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	for _, ttl := range ttls {
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: ttl}, Body: &dnsmessage.AResource{A: [4]byte{10, 0, 0, 1}},
		})
	}
	m.Authorities = []dnsmessage.Resource{
		{Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 1}, Body: &dnsmessage.NSResource{NS: name}},
		{Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: soa}, Body: &dnsmessage.SOAResource{NS: name, MBox: name, MinTTL: minimum}},
	}
	packed, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func TestTheShortestTTLOfAnAnswerCounts(t *testing.T) {
	for name, tc := range map[string]struct {
		message        []byte
		found, missing lifetime
	}{
		"answers":               {message(t, 0, []uint32{30, 5, 60}, 9, 9), lifetime{5 * time.Second, true}, lifetime{}},
		"an absurd TTL is none": {message(t, 0, []uint32{30, 1 << 31}, 9, 9), lifetime{0, true}, lifetime{}},
		"no data":               {message(t, 0, nil, 40, 20), lifetime{}, lifetime{20 * time.Second, true}},
		"no such name":          {message(t, dnsmessage.RCodeNameError, nil, 10, 20), lifetime{}, lifetime{10 * time.Second, true}},
		"an alias to nowhere":   {message(t, dnsmessage.RCodeNameError, []uint32{300}, 10, 20), lifetime{}, lifetime{10 * time.Second, true}},
		"a failure":             {message(t, dnsmessage.RCodeServerFailure, []uint32{30}, 9, 9), lifetime{}, lifetime{}},
		"nothing":               {nil, lifetime{}, lifetime{}},
	} {
		if found, missing := lifetimes(tc.message); found != tc.found || missing != tc.missing {
			t.Errorf("%s: %v, %v", name, found, missing)
		}
	}
}

// FuzzLifetimes feeds the tap what a hostile server may send, as a packet and as a stream in pieces.
func FuzzLifetimes(f *testing.F) {
	f.Add(message(f, 0, []uint32{30, 5}, 9, 9))
	f.Add(message(f, dnsmessage.RCodeNameError, nil, 10, 20))
	f.Add([]byte("\x00\x00\x80"))
	f.Fuzz(func(t *testing.T, b []byte) {
		found, missing := lifetimes(b)
		for _, l := range []lifetime{found, missing} {
			if l.ttl < 0 || l.ttl > (1<<31)*time.Second || !l.known && l.ttl != 0 {
				t.Fatalf("%+v", l)
			}
		}
		if len(b) > 1<<16-1 {
			return
		}
		var heard tap
		stream := heard.on(pieces{strings.NewReader(string(binary.BigEndian.AppendUint16(nil, uint16(len(b)))) + string(b) + "more")})
		if _, err := io.ReadAll(stream); err != nil {
			t.Fatal(err)
		}
		if heard.mu.found != found || heard.mu.missing != missing {
			t.Fatalf("as a stream: %+v, %+v; as a packet: %+v, %+v", heard.mu.found, heard.mu.missing, found, missing)
		}
	})
}

// pieces is a connection that brings a few bytes at a time.
type pieces struct{ io.Reader }

func (p pieces) Read(b []byte) (int, error)     { return p.Reader.Read(b[:min(len(b), 3)]) }
func (pieces) Write(b []byte) (int, error)      { return len(b), nil }
func (pieces) Close() error                     { return nil }
func (pieces) LocalAddr() net.Addr              { return nil }
func (pieces) RemoteAddr() net.Addr             { return nil }
func (pieces) SetDeadline(time.Time) error      { return nil }
func (pieces) SetReadDeadline(time.Time) error  { return nil }
func (pieces) SetWriteDeadline(time.Time) error { return nil }

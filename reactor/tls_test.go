//go:build linux

package reactor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"testing"
	"time"
)

// These tests guard what the reactor relies on in crypto/tls: a tls.Conn whose transport answers a temporary net.Error keeps
// a partial record and goes on later, and a handshake done in blocking mode is not disturbed by the change of mode.

func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// tlsEcho is a handler that speaks TLS on the loop.
type tlsEcho struct {
	socket *Socket
	tls    *tls.Conn
	buf    [5000]byte
	errs   chan error
}

func (e *tlsEcho) pump(c *Conn) {
	for {
		n, err := e.tls.Read(e.buf[:])
		if n > 0 {
			if _, err := e.tls.Write(e.buf[:n]); err != nil {
				e.errs <- err
				return
			}
		}
		if IsWouldBlock(err) {
			return
		}
		if err != nil {
			e.errs <- err
			_ = e.tls.Close() // sends close_notify, then closes the Socket
			return
		}
	}
}

func (e *tlsEcho) Received(c *Conn, b []byte) { e.socket.Feed(b); e.pump(c) }
func (e *tlsEcho) Ended(c *Conn)              { e.pump(c) }
func (e *tlsEcho) Blocked(c *Conn)            { c.PauseRead() }
func (e *tlsEcho) Drained(c *Conn)            { c.ResumeRead() }
func (e *tlsEcho) Failed(_ *Conn, err error)  { e.errs <- err }

// splitter is a connection that hands on what it gets in pieces of odd sizes, so that records arrive cut anywhere.
type splitter struct {
	net.Conn
	sizes []int
	next  int
}

func (s *splitter) Write(b []byte) (total int, err error) {
	for len(b) > 0 {
		n := min(s.sizes[s.next%len(s.sizes)], len(b))
		s.next++
		n, err = s.Conn.Write(b[:n])
		total += n
		if err != nil {
			return total, err
		}
		b = b[n:]
	}
	return total, nil
}

func TestTLSServerGoesOnInLoopModeAfterABlockingHandshake(t *testing.T) {
	cert, pool := certificate(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, sizes := range [][]int{{1}, {1, 4, 2}, {5, 1, 1000, 3}, {17, 16384, 4}, {1 << 20}} {
			t.Run(fmt.Sprintf("%s/%v", tls.VersionName(version), sizes), func(t *testing.T) {
				r := newReactor(t, 2)
				raw, server := tcpPair(t)
				e := &tlsEcho{socket: server, errs: make(chan error, 10)}
				e.tls = tls.Server(server, &tls.Config{
					Certificates: []tls.Certificate{cert}, MinVersion: version, MaxVersion: version, DynamicRecordSizingDisabled: true,
				})
				client := tls.Client(&splitter{Conn: raw, sizes: sizes}, &tls.Config{RootCAs: pool, ServerName: "localhost"})
				size := int64(200_000)
				if sizes[0] == 1 {
					size = 3_000
				}
				sent := make(chan error, 1)
				go func() { // the client does not wait: application data may follow its Finished in the same segment
					if err := client.Handshake(); err != nil {
						sent <- err
						return
					}
					sent <- <-transfer(client, size, 3000)
				}()
				if err := e.tls.Handshake(); err != nil {
					t.Fatal(err)
				}
				l := r.Loops()[0]
				on(t, l, func() {
					c := l.Attach(server, e)
					e.pump(c) // what the handshake has read too far lies in the tls.Conn
				})
				if err := receiveAll(client, size, 4000); err != nil {
					t.Fatal(err)
				}
				if err := await(t, sent, "the sender"); err != nil {
					t.Fatal(err)
				}
				if err := await(t, e.errs, "the end"); err != io.EOF {
					t.Errorf("the server's TLS ended with %v, want EOF", err)
				}
			})
		}
	}
}

func TestTLSClientGoesOnInLoopModeAndSurvivesAHandOver(t *testing.T) {
	cert, pool := certificate(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			r := newReactor(t, 2)
			raw, socket := tcpPair(t)
			// Session tickets follow the handshake in TLS 1.3: the loop meets them, cut into single bytes.
			peer := tls.Server(&splitter{Conn: raw, sizes: []int{1, 3}}, &tls.Config{Certificates: []tls.Certificate{cert}})
			e := &tlsEcho{socket: socket, errs: make(chan error, 10)}
			e.tls = tls.Client(socket, &tls.Config{
				RootCAs: pool, ServerName: "localhost", MinVersion: version, MaxVersion: version, DynamicRecordSizingDisabled: true,
				ClientSessionCache: tls.NewLRUClientSessionCache(1),
			})
			accepted := make(chan error, 1)
			go func() { accepted <- peer.Handshake() }()
			if err := e.tls.Handshake(); err != nil {
				t.Fatal(err)
			}
			one, two := r.Loops()[0], r.Loops()[1]
			var c *Conn
			on(t, one, func() { c = one.Attach(socket, e); e.pump(c) })
			if err := await(t, accepted, "the handshake"); err != nil {
				t.Fatal(err)
			}
			for i := range 6 {
				text := fmt.Sprintf("message %d", i)
				write(t, peer, text)
				wantRead(t, peer, text)
				c = handOver(t, c, []*Loop{two, one}[i%2], e)
			}
			if err := errors.Join(peer.CloseWrite()); err != nil {
				t.Fatal(err)
			}
			wantEOF(t, peer)
			if err := await(t, e.errs, "the end"); err != io.EOF {
				t.Errorf("TLS ended with %v, want EOF", err)
			}
		})
	}
}

package probe

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/topology"
)

// certify gives the node a certificate of its own for 127.0.0.1 and returns it.
func certify(t *testing.T, n *testcluster.Node) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "node"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	owner, err := os.Stat(n.DataDir())
	must(t, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	for name, content := range map[string][]byte{
		"server.crt": text,
		"server.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
	} {
		name = filepath.Join(n.DataDir(), name)
		must(t, os.WriteFile(name, content, 0o600))
		if os.Geteuid() == 0 {
			must(t, os.Chown(name, int(owner.Sys().(*syscall.Stat_t).Uid), -1))
		}
	}
	return text
}

func (n dyingNode) overTLS(t *testing.T) {
	n.revive(t)
	authority := filepath.Join(t.TempDir(), "ca.crt")
	must(t, os.WriteFile(authority, certify(t, n.Node), 0o600))
	must(t, n.Configure(map[string]string{"ssl": "on"}))
	defer func() { must(t, n.Configure(map[string]string{"ssl": ""})) }()
	cfg := login(t, n.Node, testcluster.ProbeUser)
	cfg.SSLMode, cfg.SSLRootCert, cfg.ConnectTimeout = "verify-full", authority, time.Second
	s := open(t, cfg, n.Addr())
	until(t, s, asks, outcome(topology.OutcomeAnswered)) // the server needs a moment to read its settings
	if _, secure := s.(*session).line.conn.Conn().(*tls.Conn); !secure {
		t.Error("the connection is not secure")
	}
	n.Stop()
	defer n.Cont()
	for range 2 {
		if o := s.Probe(bounded(t), briefly); o.Outcome != topology.OutcomeMissed {
			t.Errorf("frozen: %s, %q", o.Outcome, o.Problem)
		}
	}
	n.Cont()
	until(t, s, asks, outcome(topology.OutcomeAnswered))
	stranger := cfg
	stranger.SSLRootCert, stranger.ConnectTimeout = "", heartbeat // the system's authorities do not know the node
	if o := open(t, stranger, n.Addr()).Probe(bounded(t), asks); o.Outcome != topology.OutcomeFailed {
		t.Errorf("a certificate that nobody knows: %s, %q", o.Outcome, o.Problem)
	}
	n.Kill9()
	if o := s.Probe(bounded(t), asks); o.Outcome != topology.OutcomeRefused {
		t.Errorf("after kill -9: %s, %q", o.Outcome, o.Problem)
	}
}

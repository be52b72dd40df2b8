//go:build etcd

package etcd

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
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// authority signs certificates for the loopback.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.issue("ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// issue writes name.crt and name.key. The first certificate signs itself.
func (a *authority) issue(name string, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber, template.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for suffix, block := range map[string]*pem.Block{".crt": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "EC PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(a.file(name+suffix), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

func TestEtcdMayAskForACertificate(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	a.issue("server", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: both})
	a.issue("client", &x509.Certificate{ExtKeyUsage: both[1:]})
	s := prepare(t, "one", "https", "--cert-file", a.file("server.crt"), "--key-file", a.file("server.key"),
		"--trusted-ca-file", a.file("ca.crt"), "--client-cert-auth")
	s.join([]*server{s})
	s.start()
	good := settings(s)
	good.CAFile, good.CertFile, good.KeyFile = a.file("ca.crt"), a.file("client.crt"), a.file("client.key")
	newWriter(t, func(c *clientv3.Config) { c.TLS = mustTLS(t, &good) }, s).voip()

	stranger := good
	stranger.CertFile, stranger.KeyFile = "", ""
	source, h := play(t, stranger)
	h.problem("") // the wording is the library's
	if said, _ := h.heard(); said.Leader != "" {
		t.Errorf("%+v", said)
	}
	if err := source.Reload(good); err != nil {
		t.Fatal(err)
	}
	h.leads(one)
	untrusted := good
	untrusted.CAFile = ""
	if err := source.Reload(untrusted); err != nil {
		t.Fatal(err)
	}
	h.problem("certificate")
	missing := good
	missing.CAFile = a.file("missing.crt")
	if err := source.Reload(missing); err != nil {
		t.Fatal(err)
	}
	h.problem("ca_file")
}

func mustTLS(t *testing.T, c *Config) *tls.Config {
	t.Helper()
	settings, err := c.tls()
	if err != nil {
		t.Fatal(err)
	}
	return settings
}

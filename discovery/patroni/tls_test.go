package patroni

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// writePEM writes a file and returns its name.
func writePEM(t *testing.T, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// routersCertificate makes a certificate that has signed itself, and its files.
func routersCertificate(t *testing.T) (cert *x509.Certificate, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return cert, writePEM(t, "cert.pem", "CERTIFICATE", der), writePEM(t, "key.pem", "EC PRIVATE KEY", secret)
}

func TestTLSWithACertificateOfOurOwn(t *testing.T) {
	cert, certFile, keyFile := routersCertificate(t)
	s := newSite(t, 0)
	f := s.join(func(h http.Handler) *httptest.Server {
		server := httptest.NewUnstartedServer(h)
		server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
		server.TLS.ClientCAs.AddCert(cert)
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.StartTLS()
		return server
	})
	cfg := quick(f.URL)
	cfg.CAFile = writePEM(t, "ca.pem", "CERTIFICATE", f.Certificate().Raw)
	cfg.CertFile, cfg.KeyFile = certFile, keyFile
	_, l, _ := listen(t, cfg)
	l.leader(f.node())
	l.await("the agent", func(x told) bool { return x.agent.Node == f.node() && x.agent.Leads })

	unsigned := cfg
	unsigned.CertFile, unsigned.KeyFile = "", ""
	_, l, _ = listen(t, unsigned)
	l.problem("certificate required")

	strange := cfg
	strange.CAFile = ""
	_, l, _ = listen(t, strange)
	l.problem("certificate signed by unknown authority")
}

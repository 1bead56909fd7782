package fetchtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var discard = log.New(io.Discard, "", 0)

// A Certificate is how a server with TLS proves who it is.
type Certificate string

// The certificates.
const (
	Trusted    Certificate = "of the authority in CAFile"
	SelfSigned Certificate = "self-signed"
	WrongHost  Certificate = "for another host"
	Expired    Certificate = "expired"
)

// NewTLS starts a server with TLS and HTTP/2.
func NewTLS(tb testing.TB, c Certificate, files ...File) *Server {
	s := newServer(tb, files)
	ca, caKey := authority(tb)
	s.CAFile = filepath.Join(tb.TempDir(), "ca.pem")
	if err := os.WriteFile(s.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}), 0o600); err != nil {
		tb.Fatal(err)
	}
	s.http.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(tb, c, ca, caKey)}}
	s.http.EnableHTTP2 = true
	s.http.StartTLS()
	s.URL = s.http.URL
	return s
}

func authority(tb testing.TB) (*x509.Certificate, *ecdsa.PrivateKey) {
	tb.Helper()
	key := newKey(tb)
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "fetchtest"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IsCA:         true,
		KeyUsage:     x509.KeyUsageCertSign, BasicConstraintsValid: true,
	}
	return sign(tb, t, t, key, key), key
}

func certificate(tb testing.TB, c Certificate, ca *x509.Certificate, caKey *ecdsa.PrivateKey) tls.Certificate {
	tb.Helper()
	key := newKey(tb)
	t := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "upstream"},
		NotBefore:    time.Now().Add(-2 * time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	parent, signer := ca, caKey
	switch c {
	case SelfSigned:
		parent, signer = t, key
	case WrongHost:
		t.IPAddresses = nil
		t.DNSNames = []string{"elsewhere.example"}
	case Expired:
		t.NotAfter = time.Now().Add(-time.Hour)
	}
	return tls.Certificate{Certificate: [][]byte{sign(tb, t, parent, key, signer).Raw}, PrivateKey: key}
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func sign(tb testing.TB, t, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) *x509.Certificate {
	tb.Helper()
	der, err := x509.CreateCertificate(rand.Reader, t, parent, &key.PublicKey, signer)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return cert
}

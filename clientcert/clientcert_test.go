package clientcert

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func oid(id ...int) asn1.ObjectIdentifier { return id }

var (
	cn, org, unit, country = oid(2, 5, 4, 3), oid(2, 5, 4, 10), oid(2, 5, 4, 11), oid(2, 5, 4, 6)
	uid, email             = oid(0, 9, 2342, 19200300, 100, 1, 1), oid(1, 2, 840, 113549, 1, 9, 1)
	private                = oid(1, 3, 6, 1, 4, 1, 99999, 1)
)

// a returns an attribute whose value has a tag of ASN.1.
func a(id asn1.ObjectIdentifier, tag int, value string) attribute {
	return attribute{id, asn1.RawValue{Tag: tag, Bytes: []byte(value)}}
}

func utf8(id asn1.ObjectIdentifier, value string) attribute { return a(id, asn1.TagUTF8String, value) }

var names = []struct {
	want  string
	parts []relativeSET
}{
	{"", nil},
	{"CN=eva,O=Example,C=DE", []relativeSET{{a(country, asn1.TagPrintableString, "DE")}, {utf8(org, "Example")}, {utf8(cn, "eva")}}},
	{"OU=b,OU=a", []relativeSET{{utf8(unit, "a")}, {utf8(unit, "b")}}}, // no part is put in order
	{`CN=eva\, O=other`, []relativeSET{{utf8(cn, "eva, O=other")}}},
	{`CN=\#1\+2\"3\\4\<5\>6\;7=8`, []relativeSET{{utf8(cn, `#1+2"3\4<5>6;7=8`)}}},
	{`CN=\  x \ `, []relativeSET{{utf8(cn, "  x  ")}}},
	{`CN=\ `, []relativeSET{{utf8(cn, " ")}}},
	{`CN=eva\0D\0AX-Admin: 1\00\7F`, []relativeSET{{utf8(cn, "eva\r\nX-Admin: 1\x00\x7f")}}},
	{`CN=Zo\C3\AB`, []relativeSET{{utf8(cn, "Zoë")}}},
	{`CN=Zo\C3\AB`, []relativeSET{{a(cn, asn1.TagT61String, "Zo\xeb")}}},
	{`CN=Zo\C3\AB`, []relativeSET{{a(cn, asn1.TagBMPString, "\x00Z\x00o\x00\xeb")}}},
	{"UID=7+CN=eva", []relativeSET{{utf8(cn, "eva"), utf8(uid, "7")}}},
	{"emailAddress=eva@example.com", []relativeSET{{a(email, asn1.TagIA5String, "eva@example.com")}}},
	{"1.3.6.1.4.1.99999.1=#0C0178", []relativeSET{{utf8(private, "x")}}},
	{"CN=#1E02D800", []relativeSET{{a(cn, asn1.TagBMPString, "\xd8\x00")}}}, // half a character
	{"CN=#020107", []relativeSET{{a(cn, asn1.TagInteger, "\x07")}}},
	{"CN=", []relativeSET{{utf8(cn, "")}}},
}

func TestNamesAreWrittenByRFC4514(t *testing.T) {
	for _, row := range names {
		der, err := asn1.Marshal(row.parts)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(appendName(nil, der)); got != row.want {
			t.Errorf("got %s, want %s", got, row.want)
		}
	}
	for _, der := range []string{"", "x", "\x30\x01", "\x30\x00x"} {
		if got := appendName(nil, []byte(der)); len(got) > 0 {
			t.Errorf("%q: got %s", der, got)
		}
	}
}

// certify returns a certificate with a subject.
func certify(t *testing.T, parts []relativeSET) *x509.Certificate {
	t.Helper()
	subject, err := asn1.Marshal(parts)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), RawSubject: subject, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// TestOpenSSLWritesTheSame names, and the same fingerprint. Of a type that has no keyword it writes the
// same, too.
func TestOpenSSLWritesTheSame(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl isn't installed")
	}
	for _, row := range names {
		if strings.HasPrefix(row.want, "CN=#") {
			continue // crypto/x509 refuses such a certificate
		}
		leaf := certify(t, row.parts)
		file := filepath.Join(t.TempDir(), "client.pem")
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), openssl, "x509", "-in", file, "-noout", "-subject", "-nameopt", "RFC2253", "-fingerprint", "-sha256").Output()
		if err != nil {
			t.Fatal(err)
		}
		subject, rest, _ := strings.Cut(string(out), "\n")
		_, digits, _ := strings.Cut(strings.TrimSpace(rest), "=")
		got := Of(leaf)
		if want := strings.TrimPrefix(subject, "subject="); string(got.Subject) != want {
			t.Errorf("the subject is %s, and openssl's %s", got.Subject, want)
		}
		if want := strings.ToLower(strings.ReplaceAll(digits, ":", "")); string(got.Fingerprint) != want {
			t.Errorf("the fingerprint is %s, and openssl's %s", got.Fingerprint, want)
		}
	}
}

func TestACertificateIsTheSameInAnotherProcess(t *testing.T) {
	leaf := certify(t, []relativeSET{{utf8(cn, "Zoë")}})
	c := Of(leaf)
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var again Certificate
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(leaf.Raw)
	if !bytes.Equal(again.Subject, c.Subject) || string(again.Fingerprint) != hex.EncodeToString(sum[:]) {
		t.Errorf("%s became %+v", text, again)
	}
}

// FuzzNames: a name can be the value of a field, whatever is in a certificate.
func FuzzNames(f *testing.F) {
	for _, row := range names {
		der, err := asn1.Marshal(row.parts)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		for _, c := range appendName(nil, der) {
			if c < ' ' || c >= 0x7f {
				t.Fatalf("%x gives the byte %x", der, c)
			}
		}
	})
}

package wiretest

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func FuzzAMessageIsReadWholeAndNotAByteMore(f *testing.F) {
	f.Add(true, []byte("Q\x00\x00\x00\x0dSELECT 1\x00rest"))
	f.Add(false, []byte("T\x00\x00\x00\x06\x00\x00Z\x00\x00\x00\x05I"))
	f.Add(false, []byte("R\x00\x00\x00\x0c\x00\x00\x00\x05salt"))
	f.Add(true, []byte("B\x00\x00\x00\x03"))
	f.Add(false, []byte("D\x00\x00\x00\x0a\x00\x01\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, frontend bool, b []byte) {
		from := Backend
		if frontend {
			from = Frontend
		}
		r := bytes.NewReader(b)
		m, err := readMessage(r, from)
		if err != nil {
			return
		}
		if !bytes.Equal(m.Raw, b[:len(m.Raw)]) || r.Len() != len(b)-len(m.Raw) {
			t.Errorf("%d bytes read of %d, the message has %d", len(b)-r.Len(), len(b), len(m.Raw))
		}
		if m.Text == "" {
			t.Error("the message has no line for a trace")
		}
	})
}

func TestAMessageCutShortIsAnUnexpectedEnd(t *testing.T) {
	cases := map[string]struct {
		bytes string
		want  error
	}{
		"between messages": {"", io.EOF},
		"in the header":    {"Q\x00", io.ErrUnexpectedEOF},
		"in the body":      {"Q\x00\x00\x00\x0dSEL", io.ErrUnexpectedEOF},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := readMessage(bytes.NewReader([]byte(tc.bytes)), Frontend); !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
		})
	}
}

func TestSecretsAndLongValuesStayOutOfTraces(t *testing.T) {
	cases := []struct {
		from Side
		raw  string
		want string
	}{
		{Frontend, "p\x00\x00\x00\x0bsecret\x00", "PasswordMessage"},
		{Backend, "K\x00\x00\x00\x0c\x00\x00\x00\x01\x00\x00\x00\x02", "BackendKeyData"},
		{Backend, "!\x00\x00\x00\x04", "Unknown '!' 5 bytes"},
	}
	for _, tc := range cases {
		m, err := readMessage(bytes.NewReader([]byte(tc.raw)), tc.from)
		if err != nil || m.Text != tc.want {
			t.Errorf("%q, error %v; want %q", m.Text, err, tc.want)
		}
	}
}

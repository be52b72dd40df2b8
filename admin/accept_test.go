package admin

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAnAcceptanceNamesWhatIsAcceptedAndBy(t *testing.T) {
	for _, tc := range []struct {
		name, from, origin, body, done string
		want                           int
	}{
		{"loopback", "127.0.0.1:5", "", `{"system_identifier":"18446744073709551615","timeline":2,"by":"anna"}`, "accept main 18446744073709551615 2 by anna from 127.0.0.1", 200},
		{"allowed network, nameless", "10.1.2.3:5", "", `{"cluster":"main","system_identifier":"8","timeline":2}`, "accept main 8 2 by somebody from 10.1.2.3", 200},
		{"stranger", "10.2.2.3:5", "", `{"system_identifier":"8","timeline":2}`, "", 403},
		{"a foreign page", "127.0.0.1:5", "http://example.com:7000", `{"system_identifier":"8","timeline":2}`, "", 403},
		{"nothing is named", "127.0.0.1:5", "", `{"cluster":"main"}`, "", 400},
		{"no timeline is named", "127.0.0.1:5", "", `{"system_identifier":"8"}`, "", 400},
		{"a number that loses its digits", "127.0.0.1:5", "", `{"system_identifier":8,"timeline":2}`, "", 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &scene{}
			_, h := newAdmin(t, s)
			r := httptest.NewRequest(http.MethodPost, "/api/v1/accept-cluster", strings.NewReader(tc.body))
			r.RemoteAddr = tc.from
			r.Header.Set("Content-Type", "application/json")
			if tc.origin != "" {
				r.Header.Set("Origin", tc.origin)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tc.want || strings.Join(s.done, ",") != tc.done {
				t.Errorf("%d %s, it did %v", w.Code, w.Body.String(), s.done)
			}
		})
	}
}

func TestAnAcceptanceThatIsRefusedIsAConflict(t *testing.T) {
	s := &scene{fail: errors.New("two nodes take writes")}
	_, h := newAdmin(t, s)
	r := httptest.NewRequest(http.MethodPost, "/api/v1/accept-cluster", strings.NewReader(`{"system_identifier":"8","timeline":2}`))
	r.RemoteAddr = "127.0.0.1:5"
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "two nodes take writes") {
		t.Errorf("%d %s", w.Code, w.Body.String())
	}
}

func TestTheConsoleAcceptsAClusterThatIsNamed(t *testing.T) {
	s := &scene{}
	a, _ := newAdmin(t, s)
	for text, done := range map[string]string{
		"8 2":       "accept main 8 2 by anna",
		"8 2 other": "accept other 8 2 by anna",
		"8":         "", "": "", "0 2": "", "8 0": "", "x 2": "", "8 4294967296": "",
	} {
		s.done = nil
		_, err := acceptCluster(t.Context(), a, "anna", strings.Fields(text))
		if got := strings.Join(s.done, ","); got != done || (err == nil) != (done != "") {
			t.Errorf("ACCEPT_CLUSTER %s: it did %q, %v", text, got, err)
		}
	}
}

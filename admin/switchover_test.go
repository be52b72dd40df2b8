package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/metrics"
)

// slowScene begins a switchover and waits to be told how it ends.
type slowScene struct {
	scene
	begun, finish chan struct{}
	request       any // what of the request the switchover's context knows
	ended         chan error
}

func (s *slowScene) Switchover(ctx context.Context, _, _ string, _ time.Duration) error {
	s.request = ctx.Value(http.ServerContextKey)
	close(s.begun)
	select {
	case <-s.finish:
	case <-ctx.Done():
	}
	s.ended <- ctx.Err()
	return ctx.Err()
}

func slowAdmin(t *testing.T) (*slowScene, *Admin, string) {
	t.Helper()
	s := &slowScene{scene: scene{primary: "a:5432"}, begun: make(chan struct{}), finish: make(chan struct{}), ended: make(chan error, 1)}
	log := slog.New(slog.DiscardHandler)
	a, err := New(Config{}, s, s, NewJournal(log), log)
	if err != nil {
		t.Fatal(err)
	}
	registry, err := metrics.New()
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a.Serve(ln, registry)
	return s, a, "http://" + ln.Addr().String()
}

// ask begins a switchover and goes away when ctx ends.
func ask(ctx context.Context, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/v1/switchover", strings.NewReader(`{"to":"b:5432"}`))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err == nil {
		response.Body.Close()
	}
	return err
}

// lines is a log.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}

// A router that was frozen finds orders in its sockets of which nobody waits for an answer any more.
func TestAnOrderWhoseSenderHasHungUpBeforeItWasReadIsNotCarriedOut(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hangUp := func(path, body string) {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "POST /api/v1/%s HTTP/1.1\r\nHost: router\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
		c.Close()
	}
	hangUp("hold", `{}`)
	hangUp("switchover", `{"to":"b:5432"}`)
	s := &scene{primary: "a:5432"}
	told := make(lines, 16)
	a, err := New(Config{}, s, s, NewJournal(slog.New(slog.DiscardHandler)), slog.New(slog.NewTextHandler(told, nil)))
	if err != nil {
		t.Fatal(err)
	}
	registry, err := metrics.New()
	if err != nil {
		t.Fatal(err)
	}
	a.Serve(ln, registry)
	for range 2 {
		select {
		case line := <-told:
			if !strings.Contains(line, "order not carried out") {
				t.Errorf("said: %s", line)
			}
		case <-time.After(time.Minute):
			t.Error("nothing is said of an order")
		}
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if len(s.done) > 0 {
		t.Errorf("carried out: %q", s.done)
	}
}

func TestASwitchoverGoesOnWhenWhoAskedForItGoesAway(t *testing.T) {
	s, a, url := slowAdmin(t)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { left <- ask(ctx, url) }()
	<-s.begun
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the client: %v", err)
	}
	if s.request != nil { // the end of the connection reaches the request's context some time later
		t.Error("the switchover hangs on its request")
	}
	close(s.finish)
	if err := <-s.ended; err != nil {
		t.Errorf("the switchover: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func TestASwitchoverGivesUpWhenTheServerClosesAndItDoesNotEnd(t *testing.T) {
	s, a, url := slowAdmin(t)
	left := make(chan error, 1)
	go func() { left <- ask(t.Context(), url) }()
	<-s.begun
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if err := <-s.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the switchover: %v", err)
	}
	<-left
}

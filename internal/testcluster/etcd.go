package testcluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// etcd is the consensus store of a Patroni cluster: one member or several.
type etcd struct {
	command []string // the program, and what all members are told
	members []*etcdMember
	client  *http.Client
}

type etcdMember struct {
	daemon
	name         string
	client, peer string // addresses
}

// newEtcd writes the members' directories. It takes two listeners' ports for each.
func newEtcd(s *site, program string, ports []net.Listener) (*etcd, error) {
	e := &etcd{command: []string{program, "--data-dir", "data", "--logger", "zap", "--log-level", "warn"}, client: newClient()}
	if !s.options.Durable {
		e.command = append(e.command, "--unsafe-no-fsync")
	}
	for i := 0; i < len(ports); i += 2 {
		name := "e" + strconv.Itoa(1+i/2)
		place, err := s.network.place(name, firstEtcd+i/2)
		if err != nil {
			return nil, err
		}
		dir := filepath.Join(s.dir, name)
		if err := s.account.mkdir(dir); err != nil {
			return nil, err
		}
		e.members = append(e.members, &etcdMember{
			daemon: daemon{account: s.account, dir: dir, log: filepath.Join(dir, logName), onDeath: syscall.SIGKILL, place: place},
			name:   name, client: place.at(portOf(ports[i])), peer: place.at(portOf(ports[i+1])),
		})
	}
	return e, nil
}

// endpoints are the addresses that clients use.
func (e *etcd) endpoints() []string {
	endpoints := make([]string, len(e.members))
	for i, m := range e.members {
		endpoints[i] = m.client
	}
	return endpoints
}

// start starts every member that does not run, and waits until each answers for the whole.
func (e *etcd) start(ctx context.Context) error {
	all := make([]string, len(e.members))
	for i, m := range e.members {
		all[i] = m.name + "=http://" + m.peer
	}
	for _, m := range e.members {
		if p := m.current(); p != nil && p.alive() {
			continue
		}
		if err := m.begin(e.command, strings.Join(all, ",")); err != nil {
			return fmt.Errorf("start etcd: %w", err)
		}
	}
	for _, m := range e.members {
		if err := m.await(ctx, e.client); err != nil {
			return fmt.Errorf("start etcd: %w: %s", err, tailOf(m.log, logLines))
		}
	}
	return nil
}

// begin launches the member; all are the names and addresses of the whole.
func (m *etcdMember) begin(command []string, all string) error {
	args := append(slices.Clone(command[1:]), "--name", m.name, "--initial-cluster", all,
		"--listen-client-urls", "http://"+m.client, "--advertise-client-urls", "http://"+m.client,
		"--listen-peer-urls", "http://"+m.peer, "--initial-advertise-peer-urls", "http://"+m.peer)
	_, err := m.launch(command[0], args...)
	return err
}

func (m *etcdMember) await(ctx context.Context, client *http.Client) error {
	p := m.current()
	return poll(ctx, func() (bool, error) {
		if !p.alive() {
			return false, fmt.Errorf("%s ended: %w", m.name, orExit(p.err))
		}
		code, _, err := ask(ctx, client, http.MethodGet, "http://"+m.client+"/health", nil)
		return err == nil && code == http.StatusOK, nil
	})
}

// signal sends sig to every member.
func (e *etcd) signal(sig syscall.Signal) {
	for _, m := range e.members {
		signalAll(m.dir, sig)
	}
}

// kill ends every member as if their machines had lost power.
func (e *etcd) kill() {
	for _, m := range e.members {
		m.kill()
	}
}

// get returns the value of a key; nil when there is none, or no answer.
func (e *etcd) get(ctx context.Context, key string) []byte {
	question := map[string][]byte{"key": []byte(key)} // []byte becomes base64, as etcd wants it
	code, body, err := ask(ctx, e.client, http.MethodPost, "http://"+e.members[0].client+"/v3/kv/range", question)
	if err != nil || code != http.StatusOK {
		return nil
	}
	var answer struct {
		Pairs []struct {
			Value []byte `json:"value"`
		} `json:"kvs"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Pairs) == 0 {
		return nil
	}
	return answer.Pairs[0].Value
}

// order sends a request that changes something; []byte becomes base64, as etcd wants it.
func (e *etcd) order(ctx context.Context, path string, request map[string][]byte) error {
	code, body, err := ask(ctx, e.client, http.MethodPost, "http://"+e.members[0].client+path, request)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("status %d: %s", code, body)
	}
	if err != nil {
		return fmt.Errorf("etcd: %s: %w", path, err)
	}
	return nil
}

package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/pgrouter/pgrouter/discovery"
	"github.com/pgrouter/pgrouter/topology"
)

// The pace of the reads.
const (
	maxInterval   = 2 * time.Second       // from the beginning of one read to the next
	minInterval   = 25 * time.Millisecond // the same, however much the watch says
	readsPerLease = 4                     // of the leader key, so that one that fails does no harm
)

// reader is Run's share of a source: what was said, and the watch. One goroutine uses it.
type reader struct {
	source *Source
	feed   feed

	subject string // where what is remembered comes from
	past    past
	roll    roll
	told    []topology.Member
	agents  []topology.Agent // as told
	met     []discovery.AgentAddress
	problem string  // the last that was logged
	notes   string  // likewise of what stands in the keys
	failed  backoff // after reads

	watch    <-chan clientv3.WatchResponse // nil while there is none
	lost     backoff                       // after watches
	watching sync.WaitGroup
}

// turn forgets what other keys, or another etcd, have said. The members stay as they were told until there is an answer.
func (r *reader) turn(cfg *Config) {
	if subject := strings.Join(cfg.Endpoints, ",") + " " + cfg.prefix(); subject != r.subject {
		r.subject, r.past, r.roll = subject, past{}, make(roll)
		r.introduce(nil)
	}
}

// idle waits for settings with endpoints.
func (r *reader) idle(ctx context.Context) {
	if len(r.told) > 0 {
		r.told, r.agents = nil, nil
		r.feed.Members(nil)
		r.fail(errors.New("there are no endpoints any more"))
	}
	select {
	case <-r.source.changed:
	case <-ctx.Done():
	}
}

// connected works with one connection until a read fails, ctx ends or there are other settings, which is no error.
func (r *reader) connected(ctx context.Context, cfg Config) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client, err := dial(ctx, &cfg)
	if err != nil {
		return err
	}
	defer func() {
		cancel() // first: a watch that lives would keep Close waiting for a server that hangs
		r.watching.Wait()
		_ = client.Close()
	}()
	r.watch = nil
	for {
		began := time.Now()
		if err := r.read(ctx, client, &cfg, began); err != nil {
			return err
		}
		if r.watch == nil {
			r.open(ctx, client, cfg.prefix(), r.past.revision+1)
		}
		if !r.rest(ctx, cfg.prefix(), began) {
			return nil
		}
	}
}

// hasty makes a read of an etcd that cannot be reached fail with the reason. The library would let it wait until its time is over, and
// say that.
type hasty struct{ etcdserverpb.KVClient }

// Range is part of etcdserverpb.KVClient.
func (h hasty) Range(ctx context.Context, q *etcdserverpb.RangeRequest, o ...grpc.CallOption) (*etcdserverpb.RangeResponse, error) {
	return h.KVClient.Range(ctx, q, append(o, grpc.WaitForReady(false))...)
}

// open lets the prefix be watched from a revision on.
func (r *reader) open(ctx context.Context, client *clientv3.Client, prefix string, from int64) {
	said := make(chan clientv3.WatchResponse)
	r.watch = said
	r.watching.Go(func() { follow(ctx, client, prefix, from, said) })
}

// follow passes on what a watch says until it ends. Its beginning waits for the server, however long it hangs; a read must not.
func follow(ctx context.Context, client *clientv3.Client, prefix string, from int64, said chan<- clientv3.WatchResponse) {
	defer close(said)
	for change := range client.Watch(clientv3.WithRequireLeader(ctx), prefix, clientv3.WithPrefix(), clientv3.WithRev(from)) {
		select {
		case said <- change:
		case <-ctx.Done():
			return
		}
	}
}

// dial makes a client. With a user name it logs in, else nothing connects yet.
func dial(ctx context.Context, cfg *Config) (*clientv3.Client, error) {
	settings, err := cfg.settings()
	if err != nil {
		return nil, err
	}
	settings.Context = ctx
	client, err := clientv3.New(settings)
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	return client, nil
}

// read asks for the whole scope and reports it. The answer is as old as its question.
func (r *reader) read(ctx context.Context, client *clientv3.Client, cfg *Config, asked time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	keys := clientv3.NewKVFromKVClient(hasty{clientv3.RetryKVClient(client)}, client)
	got, err := keys.Get(ctx, cfg.prefix(), clientv3.WithPrefix()) // linearizable: a majority has confirmed it
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer in %s", cfg.Timeout)
	}
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	addresses, err := discovery.ParseAddressMap(cfg.AddressMap)
	if err != nil {
		return err
	}
	return r.take(got, cfg.prefix(), addresses, asked)
}

// take reports an answer, if it may be believed.
func (r *reader) take(got *clientv3.GetResponse, prefix string, addresses discovery.AddressMap, asked time.Time) error {
	h := header{cluster: got.Header.ClusterId, member: got.Header.MemberId, term: got.Header.RaftTerm, revision: got.Header.Revision}
	if err := r.past.check(h, asked); err != nil {
		return err
	}
	if len(got.Kvs) == 0 && len(r.roll) == 0 {
		return fmt.Errorf("there are no keys under %s: Patroni has not begun, or namespace or scope are others", prefix)
	}
	if r.past.isAhead(h) {
		r.source.log.Warn("etcd begins anew from an earlier state", "revision", h.revision, "was", r.past.revision)
	}
	pairs := make([]pair, 0, len(got.Kvs))
	for _, kv := range got.Kvs {
		pairs = append(pairs, pair{below(prefix, kv.Key), kv.Value})
	}
	t := parseTree(pairs, addresses)
	r.past = past{header: h, at: asked, lease: t.ttl}
	r.report(&t, asked)
	return nil
}

// report tells what was read.
func (r *reader) report(t *tree, asked time.Time) {
	r.failed = 0
	if r.problem != "" {
		r.problem = ""
		r.source.log.Info("etcd answers again")
	}
	if notes := t.notes(); notes != r.notes {
		r.notes = notes
		r.source.log.Warn("keys in etcd", "notes", notes)
	}
	members, agents := r.roll.call(t.members, asked), t.agents()
	if !slices.Equal(members, r.told) || !slices.Equal(agents, r.agents) {
		r.told, r.agents = members, agents
		r.feed.Members(members)
		r.feed.Report(agents...)
	}
	r.introduce(t.addressed())
	said := t.testimony()
	said.Source, said.At = r.source.Name(), asked
	r.feed.Testify(said)
}

// introduce says where the members' agents are asked, if that is news.
func (r *reader) introduce(agents []discovery.AgentAddress) {
	if !slices.Equal(agents, r.met) {
		r.met = agents
		r.source.meet(agents)
	}
}

// fail tells that there is no answer.
func (r *reader) fail(err error) {
	if r.problem != err.Error() {
		r.problem = err.Error()
		r.source.log.Warn("etcd says nothing", "error", err)
	}
	r.feed.Testify(topology.Testimony{Source: r.source.Name(), At: time.Now(), Problem: r.problem})
}

// pause waits after a failure.
func (r *reader) pause(ctx context.Context) {
	timer := time.NewTimer(r.failed.next())
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.source.changed:
	case <-ctx.Done():
	}
}

// rest waits until it is time to read again, which the watch may hasten. It returns false when this connection is to end.
func (r *reader) rest(ctx context.Context, prefix string, began time.Time) bool {
	due := began.Add(min(maxInterval, r.past.lease/readsPerLease))
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return true
		case <-r.source.changed:
			return false
		case <-ctx.Done():
			return false
		case change, open := <-r.watch:
			if soon := r.heed(&change, open, prefix, began); soon.Before(due) {
				due = soon
				timer.Reset(time.Until(due))
			}
		}
	}
}

// heed returns when to read because of what the watch said, far away for what does not matter. A watch that has ended (what it was to
// begin with is compacted away, the member has no leader, the token is too old) is opened anew after that read.
func (r *reader) heed(change *clientv3.WatchResponse, open bool, prefix string, began time.Time) time.Time {
	if err := change.Err(); err != nil || !open {
		r.source.log.Debug("etcd has ended the watch", "error", err)
		r.watch = nil
		return time.Now().Add(r.lost.next())
	}
	r.lost = 0
	for _, e := range change.Events {
		if e.Kv.ModRevision > r.past.revision && !isQuiet(below(prefix, e.Kv.Key)) {
			return began.Add(minInterval)
		}
	}
	return began.Add(maxInterval)
}

package admin

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/pgrouter/pgrouter/metrics"
	"github.com/pgrouter/pgrouter/routing"
)

// Limits of the HTTP server.
const (
	headerLimit   = 5 * time.Second
	readLimit     = 10 * time.Second
	idleLimit     = time.Minute
	bodyLimit     = 16 << 10 // bytes of a request
	headerBytes   = 16 << 10
	closingWithin = 2 * time.Second
)

// Config is what an Admin needs to know.
type Config struct {
	Version    string
	Users      []string // who may do everything in the console
	StatsUsers []string // who may look
	Names      []string // of the console among the databases: nothing can be done to those
	Allow      []string // from where changes may be asked over HTTP, besides the machine itself: addresses and networks

	PoolMode      func(database, user string) string // by the servers' names; for pools without clients. nil: not known
	ProbeInterval map[string]time.Duration           // by cluster; what is missing is discovery.DefaultProbeInterval
}

// Admin shows and does.
type Admin struct {
	cfg     atomic.Pointer[settings]
	reload  atomic.Pointer[Reload]
	world   World
	actions Actions
	journal *Journal
	log     *slog.Logger
	started time.Time
	page    *template.Template

	patience time.Duration // of WAIT_CLOSE
	leaving  atomic.Bool
	averages averages

	life context.Context //nolint:containedctx // ends with Close; the parent of what operators ask for
	end  context.CancelFunc

	server *http.Server
	ln     net.Listener
	done   chan error
}

//go:embed page.html
var pageText string

// New makes an Admin. It serves nothing yet.
func New(cfg Config, world World, actions Actions, journal *Journal, log *slog.Logger) (*Admin, error) {
	a := &Admin{world: world, actions: actions, journal: journal, log: log, started: time.Now(), patience: waitCloseLimit}
	a.life, a.end = context.WithCancel(context.Background())
	a.Reloaded(Reload{At: a.started})
	err := a.Reconfigure(cfg)
	if err != nil {
		return nil, err
	}
	a.page, err = template.New("page").Funcs(pageFuncs()).Parse(pageText)
	return a, err
}

func parsePrefix(text string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p, nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, errors.New("admin.allow: " + text + " is neither an address nor a network")
	}
	return netip.PrefixFrom(addr, addr.BitLen()), nil
}

// Serve answers HTTP on ln, which it owns from now on, until Close. It returns at once.
func (a *Admin) Serve(ln net.Listener, registry *metrics.Registry) {
	a.ln, a.done = ln, make(chan error, 1)
	a.server = &http.Server{
		Handler: a.routes(registry), ReadHeaderTimeout: headerLimit, ReadTimeout: readLimit, IdleTimeout: idleLimit,
		MaxHeaderBytes: headerBytes, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
		ConnContext: withConn,
	}
	go a.serve()
}

func (a *Admin) serve() { a.done <- a.server.Serve(a.ln) }

// Address returns where HTTP is served, nil when it is not.
func (a *Admin) Address() net.Addr {
	if a.ln == nil {
		return nil
	}
	return a.ln.Addr()
}

// Leave makes the router not ready from now on: whoever sends clients here shall do so no more.
func (a *Admin) Leave() { a.leaving.Store(true) }

// Close ends the HTTP server and waits for it. A switchover that does not end in time is told to give up.
func (a *Admin) Close() error {
	defer a.end()
	if a.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closingWithin)
	defer cancel()
	err := a.server.Shutdown(ctx)
	if err != nil {
		a.end()
		err = a.server.Close()
	}
	if served := <-a.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

func (a *Admin) routes(registry *metrics.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", registry.Handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "alive") })
	mux.HandleFunc("GET /readyz", a.getReady)
	mux.HandleFunc("GET /primary", a.getRoute(routing.Primary))
	mux.HandleFunc("GET /replica", a.getRoute(routing.Replica))
	mux.HandleFunc("GET /api/v1/cluster", func(w http.ResponseWriter, _ *http.Request) { a.answer(w, http.StatusOK, a.View()) })
	mux.HandleFunc("GET /api/v1/failovers", a.getFailovers)
	mux.HandleFunc("GET /api/v1/holds", func(w http.ResponseWriter, _ *http.Request) { a.answer(w, http.StatusOK, list(a.world.Holds())) })
	mux.HandleFunc("POST /api/v1/hold", takes(a, `{"cluster":"main","lease":"30s","wait":"5s"}`, a.postHold))
	mux.HandleFunc("POST /api/v1/release", takes(a, `{"cluster":"main"}`, a.postRelease))
	mux.HandleFunc("POST /api/v1/switchover", takes(a, `{"cluster":"main","to":"host:port","within":"10s"}`, a.postSwitchover))
	mux.HandleFunc("POST /api/v1/failover", takes(a, `{"cluster":"main","to":"host:port"}`, a.postFailover))
	mux.HandleFunc("POST /api/v1/accept-cluster", takes(a, acceptExample, a.postAcceptCluster))
	mux.HandleFunc("GET /{$}", a.getPage)
	return secured(mux)
}

// secured adds the headers that a page without scripts and foreign parts can afford.
func secured(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		h.ServeHTTP(w, r)
	})
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}

// getReady answers 200 when there is a writable path.
func (a *Admin) getReady(w http.ResponseWriter, _ *http.Request) {
	if ok, why := a.ready(); !ok {
		plain(w, http.StatusServiceUnavailable, why)
		return
	}
	plain(w, http.StatusOK, "ready")
}

// getRoute answers 200 when this router can serve a route of every cluster, or of the one that ?cluster= names.
func (a *Admin) getRoute(route routing.Route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		wanted, found := r.URL.Query().Get("cluster"), false
		for _, s := range a.world.Clusters() {
			if wanted != "" && wanted != string(s.Cluster) {
				continue
			}
			found = true
			if ok, why := a.serves(string(s.Cluster), route.String()); !ok {
				plain(w, http.StatusServiceUnavailable, why)
				return
			}
		}
		if !found {
			plain(w, http.StatusNotFound, "no such cluster")
			return
		}
		plain(w, http.StatusOK, route.String())
	}
}

// allowed reports whether a request may change something.
func (a *Admin) allowed(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	addr := from.Addr().Unmap()
	if addr.IsLoopback() {
		return true
	}
	for _, p := range a.cfg.Load().allow {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

func (a *Admin) answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(value); err != nil {
		a.log.Debug("answer not sent", "error", err)
	}
}

func (a *Admin) getPage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := a.page.Execute(w, a.View()); err != nil {
		a.log.Debug("page not sent", "error", err)
	}
}

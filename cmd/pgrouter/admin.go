package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"time"

	"github.com/pgrouter/pgrouter/metrics"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/topology"
)

type adminRun struct {
	ln  net.Listener
	srv *http.Server
}

func (r *router) startAdmin(ctx context.Context) error {
	if r.cfg.Admin.HTTP == "" {
		return nil
	}
	var err error
	if r.registry, err = metrics.New(); err != nil {
		return err
	}
	r.registry.Register(r.pool.Collector(), r.proxy.Collector())
	for _, c := range r.clusters {
		r.registry.Register(c.manager.Collector())
	}
	ln, err := net.Listen("tcp", r.cfg.Admin.HTTP)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", r.registry.Handler())
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		for _, c := range r.clusters {
			if c.manager.Snapshot().Primary == "" {
				w.WriteHeader(503)
				return
			}
		}
	})
	mux.HandleFunc("POST /api/v1/switchover", func(w http.ResponseWriter, req *http.Request) {
		var o switchoverOrder
		json.NewDecoder(req.Body).Decode(&o)
		if err := r.clusters[0].conductor.Switchover(req.Context(), topology.NodeID(o.To), 0); err != nil {
			w.WriteHeader(409)
			json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
		}
	})
	r.admin = &adminRun{ln: ln, srv: &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}}
	go r.admin.srv.Serve(ln)
	return nil
}

func (a *adminRun) close() error { return a.srv.Close() }

func (a *adminRun) address() *net.TCPAddr {
	if a == nil {
		return nil
	}
	return a.ln.Addr().(*net.TCPAddr)
}

func (r *router) consoles() map[string]proxy.Virtual { return nil }

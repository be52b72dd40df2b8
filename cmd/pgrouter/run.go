package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/pgrouter/pgrouter/config"
)

// runRouter is the verb run: until SIGTERM or SIGINT, then a drain; a second signal ends it at once.
func runRouter(ctx context.Context, path string, s streams) error {
	sockets, err := takeInherited()
	if err != nil {
		return err
	}
	cfg, err := loadConfig(path, s)
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	log := newLogger(cfg.Log, level, s)
	r, err := startRouter(context.WithoutCancel(ctx), cfg, log, surroundings{
		sockets: sockets, level: level,
		read: func() (*config.Config, []config.Fault) { return config.Load(path, os.Environ()) },
	})
	if err != nil {
		return err
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	log.Info("pgrouter runs", "version", version, "config", cfg.Source, "pid", os.Getpid())
	for running := true; running; {
		select {
		case <-ctx.Done():
			log.Info("shutting down", "within", r.inForce.Load().Limits.ShutdownTimeout)
			running = false
		case err = <-r.failed:
			log.Error("giving up", "error", err)
			running = false
		case <-hup:
			r.reloadOnSignal()
		}
	}
	drain, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	drain, cancel = context.WithTimeout(drain, r.inForce.Load().Limits.ShutdownTimeout)
	defer cancel()
	if cerr := r.close(drain); cerr != nil {
		log.Warn("shutdown was not clean", "error", cerr)
	}
	log.Info("pgrouter ended")
	return errors.Join(err)
}

// newLogger makes the log, whose level can be changed.
func newLogger(cfg config.Log, level *slog.LevelVar, s streams) *slog.Logger {
	setLevel(level, cfg)
	options := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(s.err, options))
	}
	return slog.New(slog.NewTextHandler(s.err, options))
}

// setLevel lets the log's level be the configured one; nil: there is none to set.
func setLevel(level *slog.LevelVar, cfg config.Log) {
	var to slog.Level
	if level != nil && to.UnmarshalText([]byte(cfg.Level)) == nil {
		level.Set(to)
	}
}

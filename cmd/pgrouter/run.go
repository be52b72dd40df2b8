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
	log := newLogger(cfg.Log, s)
	r, err := startRouter(context.WithoutCancel(ctx), cfg, log, surroundings{sockets: sockets})
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
			log.Info("shutting down", "within", cfg.Limits.ShutdownTimeout)
			running = false
		case err = <-r.failed:
			log.Error("giving up", "error", err)
			running = false
		case <-hup:
			log.Warn("this version cannot reload its configuration: restart it", "signal", "SIGHUP")
		}
	}
	drain, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	drain, cancel = context.WithTimeout(drain, cfg.Limits.ShutdownTimeout)
	defer cancel()
	if cerr := r.close(drain); cerr != nil {
		log.Warn("shutdown was not clean", "error", cerr)
	}
	log.Info("pgrouter ended")
	return errors.Join(err)
}

func newLogger(cfg config.Log, s streams) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(s.err, options))
	}
	return slog.New(slog.NewTextHandler(s.err, options))
}

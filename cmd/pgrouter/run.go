package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/pgrouter/pgrouter/admin"
	"github.com/pgrouter/pgrouter/config"
)

// runRouter is the verb run: until a signal or the console ends it (see finale).
func runRouter(ctx context.Context, path string, s streams) error {
	signals := make(chan os.Signal, endingsKept)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	if ctx.Err() != nil { // a signal came before they were heard here
		return nil
	}
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
	end := &finale{router: r, signals: signals}
	for end.how == admin.EndNot {
		select {
		case sig := <-signals:
			end.hear(sig)
		case end.how = <-r.endings:
		case err = <-r.failed:
			log.Error("giving up", "error", err)
			end.how = admin.EndWaitForServers
		case <-hup:
			r.reloadOnSignal()
		}
	}
	return errors.Join(err, end.run())
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

package testcluster

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	dirPrefix = "pgrouter-cluster-"
	lockName  = "lock"
	// sweepAge keeps a sweep away from a directory whose owner has made but not yet locked it.
	sweepAge = time.Minute
	// A unix socket's path holds 107 bytes on Linux; the longest name in the socket directory is ".s.PGSQL.65535.lock".
	longestDir = 107 - len("/s/.s.PGSQL.65535.lock")
)

// makeDir makes a cluster's directory and locks it against sweeps.
func makeDir(parent string, a account) (string, *os.File, error) {
	dir, err := os.MkdirTemp(parent, dirPrefix)
	if err != nil {
		return "", nil, err
	}
	lock, err := lockDir(dir, a)
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, lock, nil
}

func lockDir(dir string, a account) (*os.File, error) {
	if len(dir) > longestDir {
		return nil, fmt.Errorf("directory %s is too long for a unix socket in it: choose one of at most %d bytes", dir, longestDir)
	}
	if err := a.own(dir); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", lock.Name(), err), lock.Close())
	}
	return lock, nil
}

// sweep removes what clusters of dead processes left in parent: nobody holds their lock any more.
func sweep(parent string, logger *slog.Logger) {
	dirs, err := filepath.Glob(filepath.Join(parent, dirPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		if abandoned(dir) {
			killAll(dir)
			err := removeDir(dir)
			logger.Info("abandoned cluster removed", "dir", dir, "error", err)
		}
	}
}

func abandoned(dir string) bool {
	path := filepath.Join(dir, lockName)
	info, err := os.Stat(path)
	if err != nil || time.Since(info.ModTime()) < sweepAge {
		return false
	}
	lock, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer func() { _ = lock.Close() }()
	return unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}

// removeDir removes a cluster's directory and the shared memory of servers that were killed in it.
func removeDir(dir string) error {
	pidFiles, err := filepath.Glob(filepath.Join(dir, "*", dataName, pidName))
	if err != nil {
		return err
	}
	for _, f := range pidFiles {
		removeSharedMemory(f)
	}
	return os.RemoveAll(dir)
}

package testcluster

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// netspace is a network namespace. It has no name: the kernel takes it apart, with every cable that ends in it, when this process has closed
// it or has died, and the last process in it is gone. nil is the namespace that this process lives in.
type netspace struct{ file *os.File }

const ownNetspace = "/proc/thread-self/ns/net"

// newNetspace makes one that has nothing but a loopback interface, which is down.
func newNetspace() (*netspace, error) {
	var n *netspace
	err := elsewhere(func() error { return unix.Unshare(unix.CLONE_NEWNET) }, func() error {
		file, err := os.Open(ownNetspace)
		n = &netspace{file: file}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	return n, nil
}

// do calls f in the namespace: what it starts or opens lives there.
func (n *netspace) do(f func() error) error {
	if n == nil {
		return f()
	}
	return elsewhere(func() error { return unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET) }, f)
}

// elsewhere calls f on a thread that has gone to another namespace, and brings the thread back. The thread is not ended: what it has
// started would get its parent-death signal.
func elsewhere(leave, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := os.Open(ownNetspace)
	if err != nil {
		return err
	}
	defer func() { _ = own.Close() }()
	if err := leave(); err != nil {
		return err
	}
	err = f()
	if back := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); back != nil {
		runtime.LockOSThread() // nobody else may run here
		return errors.Join(err, fmt.Errorf("back from a network namespace: %w", back))
	}
	return err
}

// path is where another program finds the namespace, as long as this process has it open.
func (n *netspace) path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.file.Fd()) }

func (n *netspace) close() error { return n.file.Close() }

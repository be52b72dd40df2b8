//go:build !linux

package reactor

// The build stops here, with this sentence, on any other system.
const _ int = "pgrouter runs on Linux only: its event loops need epoll"

// Package etcd is the source that reads what Patroni keeps in etcd v3: which members a cluster has, and who holds the leader key.
//
// It owns the connection to etcd and the pace of the reads. It says what stands there and how old that is; what follows from it is
// the reducer's affair. It never writes, so that a role that may only read is enough, and never passes an old answer on as a new one.
//
// What counts is one linearizable range read of the whole scope, made again and again. The watch only says when to read: a watch that
// is silent may have been lost, and a value that it brought has no age. A read that fails is reported as a problem, and what was said
// before grows old.
//
// Goroutines: the source runs in its caller's and starts one, which listens to the watch and ends with the connection, as those of the
// client library do; it is waited for. Locks: one, a leaf, on the settings.
package etcd

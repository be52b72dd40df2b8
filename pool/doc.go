// Package pool decides who gets which server connection and when: queues of waiters, shelves of connections, limits.
//
// It owns every pooled server connection from the moment it is open until it is closed, except between Acquire (or Granted)
// and Release, when its holder owns it. It opens connections when somebody waits, resets them when they come back dirty, holds
// them back while a cancel request may still reach them, closes them when they are old, unused, broken, or belong to a former
// life of their node, and moves them between event loops. It keeps the line of those who wait, whatever they wait for.
//
// How the reads of a route are shared out among its nodes (weights, slow start, the part of a primary that stands in for standbys) is
// decided here, and here is remembered which standbys lag too much.
//
// It never reads a client's byte, never chooses who is primary (it is given snapshots), never decides what becomes of a session
// that lost its server, and never sends a server anything but its reset query and Terminate.
//
// # States
//
// A server connection is on one list of one shelf (I1):
//
//	(dialing) ─► idle ⇄ linked ─► resetting ─► idle
//	                       └─► cancel pending ─► idle, resetting
//	any ─► closed
//
// From resetting and cancel pending it goes straight to linked when somebody waits. moveLocked is the only function that
// changes a state, addLocked and removeLocked are the only birth and death.
//
// A queue is there as long as it has users (Pool.Queue, Queue.Leave) or a server in any state; then a sweep forgets it, and what it has
// counted stays in the ledger.
//
// A waiter is in the line, promised a server that is changing loops, or has its refusal on the way; it is answered exactly
// once, or gives up (I5). A promise can be broken, when the server dies under way or the door is closed before it arrives
// (I4): the waiter then has its old place in the line again.
//
// # Goroutines
//
// One for the sweeps ([Pool.runSweeps]), one for each connection being opened ([Pool.runDial]), one for each pause after a failure
// ([Pool.runPause]); Close waits for all. Everything else runs on its caller's goroutine: methods marked so, and all callbacks, on
// the event loop of the connection or waiter.
//
// # Locks
//
// One mutex per queue (queueState) and one for the pool's own tables; a gate per node and drained have small ones. None of these is
// ever held together with another. That of the limits across queues is the only one that is taken with one of the first two held.
// Nothing is called under any of them that blocks, calls back, logs or does I/O: what is to be done is noted in a todo and done
// after the lock is given back.
package pool

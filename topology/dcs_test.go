package topology

import (
	"strings"
	"testing"
	"time"
)

// The table of clusters with a DCS. Beside the events of the conflict table, a line of a story may hold:
//
//	dcs a                  the DCS is heard: a holds the leader key ("dcs -": nobody)
//	dcs a paused           … and Patroni is paused
//	dcs a sys 8            … and initialize holds another system identifier (7 otherwise; "sys 0": not said)
//	dcs a asked a>b        … and a switchover from a to b is asked for
//	dcs a sync b           … and b is a synchronous standby
//	dcs fails              the DCS was asked and did not answer
//	agent a leads          a's agent says that it leads ("agent a follows": that it does not)
//	agent a leads stopping … and what it does with its server
//	agent a fails          it was asked and did not answer
//
// What the DCS says counts for 10 s. After "=>" may also stand "heard", "lost" and "awaited", of the DCS. The nodes are a, b and c.
var dcsTable = []struct{ sentence, story string }{
	{"the node that the DCS names is opened when it is ready", `
		a primary 1, b standby 1, c standby 1
		=> unknown - 0 awaited quiet
		dcs a
		=> steady a 1 heard quiet`},
	{"the node that the DCS names is not opened before SQL shows that it is ready", `
		a standby 1, b standby 1, c standby 1, dcs a
		=> leaderless - 0
		a primary 1
		=> steady a 1`},
	{"the only writable node is not opened while the DCS names nobody", `
		a primary 1, b standby 1, c standby 1, dcs -
		=> leaderless - 0 alarm
		dcs a
		=> steady a 1 quiet`},
	{"the only writable node is not opened while the DCS names another", `
		a primary 1, b standby 1, c standby 1, dcs b
		=> leaderless - 0 alarm`},
	{"nothing is opened without the DCS", `
		a primary 1, b standby 1, c standby 1, dcs fails, agent a leads
		=> leaderless - 0 lost alarm`},
	{"a DCS of which nothing at all is heard is waited for only so long", `
		a primary 1, b standby 1, c standby 1
		wait 5s
		=> leaderless - 0 lost alarm`},
	{"after a restart of the router nothing is opened without the DCS", `
		a primary 1, b standby 1, c standby 1, dcs a
		router restarts
		a primary 1, b standby 1, c standby 1, dcs fails, agent a leads
		=> leaderless - 1 lost alarm
		dcs a
		=> steady a 1 quiet`},

	{"a leader key that is gone takes the primary away", `
		a primary 1, b standby 1, c standby 1, dcs a
		dcs -
		=> leaderless - 1 alarm
		dcs a
		=> steady a 1 quiet`},
	{"a leader key that moved takes the primary away before the other is ready", `
		a primary 1, b standby 1, c standby 1, dcs a
		dcs b
		=> leaderless - 1
		b primary 2 from 1@60
		=> steady b 2 refused a`},
	{"a primary that is silent and not named any more is lost, not doubtful", `
		a primary 1, b standby 1, c standby 1, dcs a
		a missed
		=> doubtful - 1
		dcs -
		=> leaderless - 1`},
	{"a primary that is silent while its agent stops it is lost, not doubtful", `
		a primary 1, b standby 1, c standby 1, dcs a
		a missed
		=> doubtful - 1
		agent a leads stopping
		=> leaderless - 1`},
	{"a readiness that is gone takes the primary away although the DCS names it", `
		a primary 1, b standby 1, c standby 1, dcs a
		a refused
		=> leaderless - 1
		a primary 1 again
		=> steady a 1`},
	{"a missed heartbeat is doubt although the DCS names the node", `
		a primary 1, b standby 1, c standby 1, dcs a
		a missed
		=> doubtful - 1
		a primary 1
		=> steady a 1`},
	{"a name that is no member opens nobody", `
		a primary 1, b standby 1, c standby 1, dcs a
		dcs stranger
		=> leaderless - 1`},

	{"a promotion needs no history where the DCS names the node", `
		a primary 1, b standby 1, c standby 1, dcs a
		a missed, dcs b
		b primary 2
		=> steady b 2`},
	{"a history of another branch is the DCS's affair", `
		a primary 2, b standby 2, c standby 2, dcs a
		a missed, dcs b
		b primary 3 from 1@60
		=> steady b 2 usable b`},
	{"a node below the floor is not opened whoever names it", `
		a primary 1, b standby 1, c standby 1, dcs a
		a missed, dcs b, b primary 2
		=> steady b 2
		b missed, a primary 1 again, dcs a
		=> leaderless - 2 alarm refused a`},
	{"a node on the same timeline follows a silent primary when the DCS names it", `
		a primary 1, b standby 1, c standby 1, dcs a
		a missed, dcs b
		b primary 1
		=> steady b 2`},
	{"of two writable nodes on one timeline the DCS's one is opened, the other refused", `
		a primary 1, b primary 1, c standby 1, dcs a
		=> steady a 1 alarm refused b`},
	{"of two writable nodes the DCS's one is opened although the other's timeline is newer", `
		a primary 1, b primary 2 from 1@60, c standby 1, dcs a
		=> steady a 1 alarm refused b`},
	{"two writable nodes of which the DCS names neither are a split", `
		a primary 1, b primary 1, c standby 1, dcs -
		=> split - 0 alarm
		dcs b
		=> steady b 1 alarm refused a`},
	{"a rival that the DCS cannot have known holds the writes until the DCS has spoken", `
		a primary 1, b standby 1, c standby 1, dcs a
		b primary 2 from 1@60
		=> leaderless - 1 alarm
		a primary 1, b primary 2 from 1@60
		=> leaderless - 1 alarm
		dcs a
		=> steady a 1 alarm refused b`},
	{"a rival on the same timeline that the DCS cannot have known does so too", `
		a primary 1, b standby 1, c standby 1, dcs a
		b primary 1
		=> leaderless - 1 alarm
		dcs b
		=> steady b 2 alarm refused a`},
	{"a rival that lives anew counts anew", `
		a primary 1, b primary 2, c standby 1, dcs a
		=> steady a 1 refused b
		b primary 2 again
		=> leaderless - 1 alarm
		dcs a
		=> steady a 1`},
	{"a read-only node that becomes writable is a rival from then on", `
		a primary 1, b readonly 1, c standby 1, dcs a
		=> steady a 1
		b primary 1
		=> leaderless - 1 alarm`},
	{"a standby that knows a newer timeline holds the writes until the DCS has spoken", `
		a primary 1, b standby 1, c standby 1, dcs a
		c standby 2
		=> leaderless - 1 alarm
		dcs a
		=> steady a 1 alarm`},
	{"standbys that follow the new primary are no rivals", `
		a primary 1, b standby 1, c standby 1, dcs a
		a missed, dcs b
		b primary 2
		c standby 2
		=> steady b 2`},

	{"while the DCS is silent the primary is kept when its own agent says that it leads", `
		a primary 1, b standby 1, c standby 1, dcs a
		pass 11s
		a primary 1, b standby 1, c standby 1, agent a leads
		=> steady a 1 lost alarm
		dcs a
		=> steady a 1 heard quiet`},
	{"while the DCS is silent a primary whose agent is silent is in doubt", `
		a primary 1, b standby 1, c standby 1, dcs a, agent a leads
		pass 11s
		a primary 1, b standby 1, c standby 1
		=> doubtful - 1 alarm
		agent a fails
		=> doubtful - 1
		agent a leads
		=> steady a 1`},
	{"while the DCS is silent a primary whose agent denies is lost for good", `
		a primary 1, b standby 1, c standby 1, dcs a
		pass 11s
		a primary 1, b standby 1, c standby 1, agent a follows
		=> leaderless - 1 alarm
		agent a leads
		=> leaderless - 1
		dcs a
		=> steady a 1`},
	{"while the DCS is silent a second agent that leads is contrary evidence", `
		a primary 1, b standby 1, c standby 1, dcs a
		pass 11s
		a primary 1, b standby 1, c standby 1, agent a leads, agent b leads
		=> doubtful - 1`},
	{"while the DCS is silent a newer timeline is contrary evidence", `
		a primary 1, b standby 1, c standby 1, dcs a
		pass 11s
		a primary 1, b standby 1, c standby 2, agent a leads
		=> leaderless - 1 alarm`},
	{"while the DCS is silent a second writable node is a split", `
		a primary 1, b standby 1, c standby 1, dcs a
		pass 11s
		a primary 1, b primary 1, c standby 1, agent a leads
		=> split - 1 alarm
		b standby 1 again
		=> leaderless - 1
		dcs a
		=> steady a 1`},
	{"while the DCS is silent a lost primary stays lost", `
		a primary 1, b standby 1, c standby 1, dcs a
		pass 11s
		a refused, b standby 1, c standby 1, agent a leads
		=> leaderless - 1
		a primary 1 again, agent a leads
		=> leaderless - 1 alarm`},
	{"while the DCS is silent no other node is opened, whatever SQL and its agent say", `
		a primary 1, b standby 1, c standby 1, dcs a
		pass 11s
		a refused, b primary 2 from 1@60, c standby 2, agent a fails, agent b leads
		=> leaderless - 1 alarm
		dcs b
		=> steady b 2 quiet`},
	{"while the DCS is silent no other node is opened on the same timeline either", `
		a primary 1, b standby 1, c standby 1, dcs a
		pass 11s
		a missed, b standby 1, c standby 1, agent b leads
		=> doubtful - 1
		a refused, b primary 1, c standby 1
		=> leaderless - 1`},
	{"a missed heartbeat while the DCS is silent is forgiven", `
		a primary 1, b standby 1, c standby 1, dcs a
		pass 11s
		a primary 1, b standby 1, c standby 1, agent a leads
		a missed
		=> doubtful - 1
		a primary 1, agent a leads
		=> steady a 1`},
	{"the same node on a newer timeline is not kept, it begins another reign", `
		a primary 1, b standby 1, c standby 1, dcs a
		pass 11s
		a primary 2 from 1@60, b standby 1, c standby 1, agent a leads
		=> doubtful - 1
		dcs a
		=> steady a 2`},
	{"a failure to ask the DCS means nothing before its last word is too old", `
		a primary 1, b standby 1, c standby 1, dcs a
		dcs fails
		=> steady a 1 heard quiet`},

	{"a node whose agent stops it gets nothing more", `
		a primary 1, b standby 1, c standby 1, dcs a
		agent a leads stopping
		=> leaderless - 1
		agent a leads running
		=> steady a 1`},
	{"a node whose agent is promoting it gets nothing yet", `
		a primary 1, b standby 1, c standby 1, dcs a
		a missed, dcs b, agent b leads promoting
		b primary 2, agent b leads promoting
		=> leaderless - 1
		agent b leads running
		=> steady b 2`},
	{"an agent's word from before the promotion ended delays nothing", `
		a primary 1, b standby 1, c standby 1, dcs a
		a missed, dcs b, agent b leads promoting
		b primary 2
		=> steady b 2`},
	{"an agent's word from before the server was started again delays nothing", `
		a primary 1, b standby 1, c standby 1, dcs a
		agent a leads stopping
		a primary 1
		=> leaderless - 1
		a primary 1 again
		=> steady a 1`},
	{"an agent's word grows old", `
		a primary 1, b standby 1, c standby 1, dcs a
		agent a leads stopping
		pass 4s
		a primary 1, b standby 1, c standby 1
		=> steady a 1`},
	{"an agent that denies is overruled by the DCS that names its node", `
		a primary 1, b standby 1, c standby 1, dcs a, agent a follows
		=> steady a 1`},

	{"in Patroni's pause the SQL witness alone counts", `
		a primary 1, b standby 1, c standby 1, dcs - paused
		=> steady a 1 quiet
		a refused
		b primary 2 from 1@60
		=> steady b 2`},
	{"in Patroni's pause nothing is proven without a history", `
		a primary 1, b standby 1, c standby 1, dcs a paused
		a refused
		b primary 2
		=> leaderless - 1 alarm`},
	{"in Patroni's pause two writable nodes are a split, whatever the key says", `
		a primary 1, b primary 1, c standby 1, dcs a paused
		=> split - 0 alarm`},
	{"when the pause ends the key counts again", `
		a primary 1, b standby 1, c standby 1, dcs - paused
		=> steady a 1
		dcs -
		=> leaderless - 1 alarm
		dcs a
		=> steady a 1`},
	{"a pause is not believed for longer than the lease", `
		a primary 1, b standby 1, c standby 1, dcs a paused
		pass 11s
		a primary 1, b standby 1, c standby 1
		=> doubtful - 1 lost alarm`},

	{"the identity that the DCS tells refuses a node of another cluster", `
		a primary 1 sys 8, b standby 1, c standby 1, dcs a
		=> leaderless - 0 alarm refused a usable b`},
	{"the identity that the DCS tells decides between two clusters", `
		a primary 1, b primary 1 sys 8, c standby 1, dcs a
		=> steady a 1 alarm refused b usable c`},
	{"without an identity nodes of two clusters are all refused, unless the DCS names one", `
		a standby 1, b standby 1 sys 8, c standby 1, dcs - sys 0
		=> leaderless - 0 alarm refused a refused b`},
	{"a DCS of another cluster permits nothing", `
		a primary 1, b standby 1, c standby 1, dcs a
		dcs a sys 8
		=> leaderless - 1 alarm
		dcs a paused sys 8
		=> leaderless - 1 alarm`},
	{"an operator accepts a cluster that was re-initialised under the same DCS", `
		a primary 3, b standby 3, c standby 3, dcs a
		a primary 1 sys 8 again, b standby 1 sys 8 again, c standby 1 sys 8 again, dcs a sys 8
		=> leaderless - 1 alarm
		operator accepts
		=> steady a 2 quiet usable b`},
	{"what a frozen leader's key has brought back is accepted: a lower timeline, although a standby knows a higher", `
		a primary 1, b standby 1, c standby 1, dcs a
		a missed, b primary 2 from 1@60, dcs b
		=> steady b 2
		a primary 1, b standby 2, c standby 1, dcs a
		=> leaderless - 2 alarm refused a
		operator accepts
		=> steady a 3 usable b`},
	{"an operator's word is no permission", `
		a primary 1, b standby 1, c standby 1, dcs -
		operator accepts
		=> leaderless - 0 alarm
		dcs a
		=> steady a 1`},
}

var dcsLimits = func() Limits {
	l := taleLimits
	l.DCS = true
	return l
}()

func TestEachRowOfTheTableOfClustersWithADCS(t *testing.T) {
	for _, row := range dcsTable {
		t.Run(row.sentence, func(t *testing.T) { taleWith(t, dcsLimits, "a", "b", "c").tell(row.story) })
	}
}

func TestWritesAreHeldAtOnceWithoutTheDCSWhereThatIsWanted(t *testing.T) {
	limits := dcsLimits
	limits.HoldWithoutDCS = true
	taleWith(t, limits, "a", "b").tell(`
		a primary 1, b standby 1, dcs a
		=> steady a 1
		pass 11s
		a primary 1, b standby 1, agent a leads
		=> doubtful - 1 alarm
		dcs a
		=> steady a 1 quiet`)
}

const taleLease = 10 * time.Second

// see takes in what one line of a story holds. The witnesses of the cluster come first, the agents with them.
func (s *tale) see(parts []string) {
	var seen []Observation
	var said []Testimony
	var agents []Agent
	for _, part := range parts {
		switch words := strings.Fields(part); words[0] {
		case "dcs":
			said = append(said, s.testimony(words[1:]))
		case "agent":
			agents = append(agents, s.agent(words[1:]))
		default:
			seen = append(seen, s.observation(words))
		}
	}
	if said != nil || agents != nil {
		s.keep(Witness(s.state, said, agents, s.now))
	}
	if seen != nil {
		s.keep(Next(s.state, seen, s.now))
	}
}

func (s *tale) testimony(words []string) Testimony {
	t := Testimony{Source: "etcd", At: s.now, Lease: taleLease, SystemID: taleSystem}
	if words[0] == "fails" {
		t.Problem = "fails"
		return t
	}
	node := func(name string) NodeID { return NodeID(strings.TrimPrefix(name, "-")) }
	t.Leader = node(words[0])
	for rest := words[1:]; len(rest) > 0; rest = rest[1:] {
		switch rest[0] {
		case "paused":
			t.Paused = true
			continue
		case "sys":
			t.SystemID = s.number(rest[1], 10)
		case "sync":
			t.Sync = append(t.Sync, node(rest[1]))
		case "asked":
			from, to, _ := strings.Cut(rest[1], ">")
			t.Asked = Request{Pending: true, From: node(from), To: node(to)}
		default:
			s.t.Fatalf("story: what is %q?", rest[0])
		}
		rest = rest[1:]
	}
	return t
}

func (s *tale) agent(words []string) Agent {
	a := Agent{Node: NodeID(words[0]), At: s.now}
	for _, word := range words[1:] {
		switch word {
		case "leads", "follows":
			a.Leads = word == "leads"
		case "fails":
			a.Problem = "fails"
		case "noloadbalance":
			a.Tags.NoLoadBalance = true
		default:
			for a.State = AgentRunning; a.State.String() != word; a.State++ {
				if a.State > AgentStopped {
					s.t.Fatalf("story: what is %q?", word)
				}
			}
		}
	}
	return a
}

// shows reports whether the DCS stands as the word says.
func (s *tale) shows(snap *Snapshot, word string) bool { return snap.DCS.String() == word }

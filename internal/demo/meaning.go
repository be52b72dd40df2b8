package demo

import "github.com/pgrouter/pgrouter/internal/ledger"

// meaning says in a sentence what an error, by its SQLSTATE or the kind of silence, meant for the client that got it.
func meaning(code string) string {
	switch code {
	case "08007":
		return "the server was lost with the statement on its way: done or not, the client has to look before it repeats it"
	case "57P01":
		return "the server was lost before anything could be committed: connect again and repeat"
	case "57P03":
		return "nobody could serve it in time; nothing was done"
	case "53300":
		return "too many waited, or for too long; nothing was done"
	case "25006":
		return "a write reached a server that takes none; nothing was done"
	case "40001":
		return "a standby cancelled a query that stood in the way of replay: repeat it"
	case ledger.ErrorLost:
		return "the connection ended without a word: done or not, the client has to look"
	case ledger.ErrorRefused:
		return "nobody listened; nothing was done"
	case ledger.ErrorTimeout:
		return "no answer within the client's patience: done or not, the client has to look"
	case ledger.ErrorAborted:
		return "the demo was ended in the middle of it"
	}
	return "the server's own error; PostgreSQL's manual lists it in Appendix A"
}

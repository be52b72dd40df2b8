package auth

import (
	"unicode/utf8"

	"github.com/xdg-go/stringprep"
	"golang.org/x/text/unicode/norm"
)

// saslPrep prepares a password as PostgreSQL's pg_saslprep does (src/common/saslprep.c), which differs from RFC 4013 as
// libraries read it: ASCII is taken as it is, whatever it contains; a zero width space becomes a space instead of nothing;
// and what is prohibited is looked for before the normalisation. A password that cannot be prepared is used raw.
func saslPrep(password string) string {
	if isASCII(password) || !utf8.ValidString(password) {
		return password
	}
	mapped := make([]rune, 0, len(password))
	for _, r := range password {
		switch {
		case stringprep.TableC1_2.Contains(r):
			mapped = append(mapped, ' ')
		case isMappedToNothing(r):
		default:
			mapped = append(mapped, r)
		}
	}
	if len(mapped) == 0 || hasProhibited(mapped) || !passesBidi(mapped) {
		return password
	}
	return norm.NFKC.String(string(mapped))
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func isMappedToNothing(r rune) bool {
	_, ok := stringprep.TableB1.Map(r)
	return ok
}

func hasProhibited(mapped []rune) bool {
	prohibited := [...]stringprep.Set{
		stringprep.TableC2_1, stringprep.TableC2_2, stringprep.TableC3, stringprep.TableC4, stringprep.TableC5,
		stringprep.TableC6, stringprep.TableC7, stringprep.TableC8, stringprep.TableC9, stringprep.TableA1,
	}
	for _, r := range mapped {
		for _, set := range prohibited {
			if set.Contains(r) {
				return true
			}
		}
	}
	return false
}

// passesBidi is RFC 3454 section 6: with a right-to-left character there is no left-to-right one, and it is both the first
// and the last.
func passesBidi(mapped []rune) bool {
	rtl, ltr := false, false
	for _, r := range mapped {
		rtl = rtl || stringprep.TableD1.Contains(r)
		ltr = ltr || stringprep.TableD2.Contains(r)
	}
	if !rtl {
		return true
	}
	first, last := mapped[0], mapped[len(mapped)-1]
	return !ltr && stringprep.TableD1.Contains(first) && stringprep.TableD1.Contains(last)
}

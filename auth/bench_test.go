package auth

import "testing"

// BenchmarkExchange shows that known and unknown users cost the same, and what a login costs at all.
func BenchmarkExchange(b *testing.B) {
	users := userlist(b, `"plain" "right"`+"\n\"scram\" \""+verifierOf(b, "right")+`"`)
	for _, user := range []string{"plain", "scram", "ghost"} {
		b.Run(user, func(b *testing.B) {
			x := NewExchange(MethodSCRAM, user, users, nil)
			_, _, _ = x.Start()
			b.ReportAllocs()
			for b.Loop() {
				x := NewExchange(MethodSCRAM, user, users, nil)
				_, _, _ = x.Start()
				_, _, _ = x.Next('p', initial(scramName, "n,,n=,r=mine"))
				_, _, _ = x.Next('p', []byte("c=biws,r="+x.scram.first.nonce+",p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="))
			}
		})
	}
}

package state

import (
	"strings"
	"testing"
)

func BenchmarkClassify(b *testing.B) {
	for name, sql := range benchTexts() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			text := []byte(sql)
			for b.Loop() {
				Classify(text)
			}
		})
	}
}

func BenchmarkReadOnly(b *testing.B) {
	for name, sql := range benchTexts() {
		b.Run(name, func(b *testing.B) {
			text := []byte(sql)
			for b.Loop() {
				ReadOnly(text)
			}
		})
	}
}

func benchTexts() map[string]string {
	return map[string]string{
		"short":  "select 1",
		"select": "SELECT abalance FROM pgbench_accounts WHERE aid = 12345;",
		"insert": "insert into location (ruid,username,contact,expires,q,callid,cseq,flags,cflags,user_agent,received,path,socket,methods," +
			"last_modified,domain,instance,reg_id,server_id,connection_id,keepalive,partition) values ('uloc-5f-1','alice'," +
			"'sip:alice@10.0.0.1:5060','2024-01-01 00:00:00',-1.00,'abc@host',1,0,0,'agent','','','udp:10.0.0.9:5060',8191," +
			"'2024-01-01 00:00:00','example.org','',0,1,-1,0,0)",
		"join": `SELECT c.customer_id, c.first_name, c.last_name, o.order_id, o.created_at, p.product_name, p.description, i.quantity
			FROM customers c JOIN orders o ON o.customer_id = c.customer_id JOIN order_items i ON i.order_id = o.order_id
			JOIN products p ON p.product_id = i.product_id WHERE c.email_address = $1 AND o.created_at > $2 AND o.state_name IN ('open', 'paid')
			ORDER BY o.created_at DESC, i.line_number LIMIT 100`,
		"sip": "update location set contact = 'sip:alice@10.0.0.1:5060;transport=udp', expires = '2024-01-01 00:00:00', callid = 'abc@host', cseq = 1 " +
			"where username = 'alice' and ruid = 'uloc-5f-1'",
		"multi": "insert into location(username, contact) values ('a', ';b'); select 1",
	}
}

// BenchmarkStream reads a long INSERT in the pieces in which it comes, by bytes.
func BenchmarkStream(b *testing.B) {
	for name, row := range map[string]string{
		"rows":    "(12345,'alice','sip:alice@10.0.0.1:5060;transport=udp','2024-01-01 00:00:00',-1.00,null),",
		"literal": strings.Repeat("0123456789abcdef", 1<<12),
	} {
		b.Run(name, func(b *testing.B) {
			piece := []byte(strings.Repeat(row, 1<<16/len(row)))
			b.SetBytes(int64(len(piece)))
			var s Stream
			s.Read([]byte("insert into location values "))
			if name == "literal" {
				s.Read([]byte("('"))
			}
			for b.Loop() {
				s.Read(piece)
			}
		})
	}
}

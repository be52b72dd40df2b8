package oracle

// endScripts are about how connections end, and about what is no message.
func endScripts() []script {
	return []script{
		{name: "good-bye behind a query that is not answered yet", steps: do(query("insert into t values (3) returning n"), terminate(), theEnd())},
		{name: "good-bye behind a batch", steps: do(batchOf("select 1"), batchOf("select 2"), terminate(), theEnd())},
		{name: "good-bye behind a batch without a Sync", steps: do(batch("insert into t values (3) returning n"), terminate(), theEnd())},
		{name: "good-bye behind a batch without a Sync whose answers have come", steps: do(batch("select 1"), flush(), hear('C'), terminate(), theEnd())},
		{name: "good-bye, and more behind it", steps: do(query("select 1"), terminate(), query("select 2"), theEnd())},
		{name: "a client that sends no more is answered", steps: do(query("select 1"), query("select pg_sleep(0.01)"), writesNoMore(), theEnd())},
		{name: "a client that sends no more in the middle of a batch", steps: do(batch("insert into t values (3)"), writesNoMore(), theEnd())},
		{name: "a client that sends no more in a block", steps: do(query("begin"), query("insert into t values (3)"), writesNoMore(), theEnd())},
		{name: "a client that sends no more and has asked for nothing", steps: do(writesNoMore(), theEnd())},
		{name: "a client that sends no more in the middle of a query", steps: do(query("select 1"), cut(query("select 2"), 10), writesNoMore(), theEnd())},
		{name: "a client that sends no more in the middle of a header", steps: do(query("select 1"), cut(query("select 2"), 3), writesNoMore(), theEnd())},
		{name: "a header that comes in two writes", steps: do(cut(query("select 1"), 2), rest(query("select 1"), 2), ready(1), elsewhere(), cut(sync(), 1), rest(sync(), 1), ready(1))},
		{name: "a query that comes in two writes", steps: do(cut(query("select 'abc'"), 9), rest(query("select 'abc'"), 9), ready(1))},
		{name: "a message of a kind that does not exist", steps: do(query("select 1"), frame('?', "what"), theEnd())},
		{name: "a message of a kind that does not exist in a block", steps: do(query("begin; insert into t values (3)"), ready(1), frame('?', "what"), theEnd())},
		{name: "a message of a kind that does not exist in a batch", steps: do(batch("insert into t values (3)"), frame('?', "what"), theEnd())},
		{name: "a message of a kind that does not exist where a batch is read over", steps: do(batch("select 1/0"), frame('?', "what"), theEnd())},
		{name: "a message that only servers send", steps: do(frame('Z', "I"), theEnd())},
		{name: "a length that is too small", steps: do(raw("Q\x00\x00\x00\x03"), theEnd())},
		{name: "a length that is too large", steps: do(raw("Q\x7f\xff\xff\xff"), theEnd())},
		{name: "a length that is negative", steps: do(raw("Q\xff\xff\xff\xffselect"), theEnd())},
		{name: "a short message that is too long", steps: do(raw("S\x00\x00\x30\x00"), theEnd())},
		{name: "a password that nobody has asked for", steps: do(frame('p', "secret\x00"), theEnd())},
		{name: "another start-up packet", steps: do(startup("app", nil), theEnd())},
		{name: "a query without its end", steps: do(frame('Q', "select 1"), ready(1), query("select 2"), ready(1))},
		{name: "a query without anything", steps: do(frame('Q', ""), ready(1), query("select 2"), ready(1))},
		{name: "a Parse without its end", steps: do(frame('P', "\x00select 1"), sync(), ready(1), elsewhere(), query("select 2"), ready(1))},
		{name: "a Parse without its types", steps: do(frame('P', "\x00select $1\x00\x00\x02\x00\x00"), sync(), ready(1), elsewhere(), query("select 2"), ready(1))},
		{name: "a Parse with bytes behind its end", steps: do(frame('P', "\x00select 1\x00\x00\x00xyz"), sync(), ready(1), elsewhere(), bind("", ""), sync(), ready(1))},
		{name: "a Bind without its end", steps: do(parse("", "select 1"), frame('B', "\x00\x00\x00"), sync(), ready(1), elsewhere(), query("select 2"), ready(1))},
		{name: "a Bind with a value that is longer than it", steps: do(parse("", "select $1"), frame('B', "\x00\x00\x00\x00\x00\x01\x00\x00\x00\x09x"), sync(), ready(1), elsewhere(), query("select 2"), ready(1))},
		{name: "a Bind without names", steps: do(frame('B', ""), sync(), ready(1), elsewhere(), query("select 2"), ready(1))},
		{name: "a Describe of another kind", steps: do(frame('D', "X\x00"), sync(), ready(1), elsewhere(), query("select 2"), ready(1))},
		{name: "a Describe without anything", steps: do(frame('D', ""), sync(), ready(1), elsewhere(), query("select 2"), ready(1))},
		{name: "a Close of another kind", steps: do(frame('C', "X\x00"), sync(), ready(1), elsewhere(), query("select 2"), ready(1))},
		{name: "an Execute without a number of rows", steps: do(parse("", "select 1"), bind("", ""), frame('E', "\x00"), sync(), ready(1), elsewhere(), query("select 2"), ready(1))},
		{name: "an Execute with a negative number of rows", steps: do(parse("", "select 1"), bind("", ""), execute("", 0xffffffff), sync(), ready(1))},
		{name: "a Sync with a body", steps: do(frame('S', "x"), ready(1), query("select 2"), ready(1))},
		{name: "a FunctionCall without anything", steps: do(frame('F', ""), ready(1), elsewhere(), query("select 2"), ready(1))},
	}
}

func rest(m message, from int) raw {
	b, err := m.Encode(nil)
	if err != nil {
		panic(err)
	}
	return raw(b[from:])
}

// startScripts are about the start-up packet.
func startScripts(database string) []script {
	with := func(pairs ...string) raw {
		return startupPacket(3, 0, append([]string{"user=app", "database=" + database}, pairs...)...)
	}
	login := func(name string, pairs ...string) script {
		return script{name: name, bare: true, steps: do(with(pairs...), ready(1), query("select 1"), ready(1))}
	}
	hello := with()
	return []script{
		login("a login"),
		login("an application's name", "application_name=oracle"),
		login("an empty application's name", "application_name="),
		login("an encoding", "client_encoding=LATIN1"),
		login("an encoding by its alias", "client_encoding=utf-8"),
		login("a login with an encoding that does not exist", "client_encoding=klingon"),
		login("a time zone", "TimeZone=Asia/Tokyo"),
		login("a time zone that does not exist", "timezone=Nowhere/Town"),
		login("a style of dates", "datestyle=german"),
		login("a parameter that is not reported", "extra_float_digits=2"),
		login("a search path", "search_path=pg_catalog"),
		login("a login with a value that is refused", "work_mem=much"),
		login("a parameter that does not exist", "nothing=1"),
		login("a parameter of one's own", "my.name=x"),
		login("a parameter that only the server sets", "port=1"),
		login("a parameter that only a superuser sets", "log_statement=all"),
		login("a parameter that nobody sets", "server_version=1"),
		login("a login with a role", "role=pg_monitor"),
		login("read-only", "default_transaction_read_only=on"),
		login("a parameter twice", "timezone=Asia/Tokyo", "timezone=Asia/Seoul"),
		login("options", `options=-c timezone=Asia/Tokyo --work_mem=2MB -c my.text=a\ b`),
		login("options that parameters override", "options=-c datestyle=german", "datestyle=sql"),
		login("options with a value that is refused", "options=-c work_mem=much"),
		login("options that are none", "options=--nothing"),
		login("options that end in the middle", "options=-c"),
		login("protocol options that nobody knows", "_pq_.one=1", "_pq_.two=2"),
		{name: "another minor version", bare: true, steps: do(startupPacket(3, 9999, "user=app", "database="+database), ready(1), query("select 1"), ready(1))},
		{name: "another major version", bare: true, steps: do(startupPacket(4, 0, "user=app", "database="+database), theEnd())},
		{name: "an old major version", bare: true, steps: do(startupPacket(2, 0, "user=app"), hearBytes())},
		{name: "no user", bare: true, steps: do(startupPacket(3, 0, "database="+database), theEnd())},
		{name: "an empty user", bare: true, steps: do(startupPacket(3, 0, "user=", "database="+database), theEnd())},
		{name: "no database is the user's", bare: true, steps: do(startupPacket(3, 0, "user=app"), ready(1), query("select current_database()"), ready(1))},
		{name: "a database that does not exist", bare: true, steps: do(startupPacket(3, 0, "user=app", "database=nowhere"), theEnd())},
		{name: "a user who does not exist", bare: true, steps: do(startupPacket(3, 0, "user=nobody", "database="+database), theEnd())},
		{name: "replication that is no boolean", bare: true, steps: do(with("replication=maybe"), theEnd())},
		{name: "a client that wants encryption is told no", bare: true, steps: do(packet(1234, 5679, ""), hearByte(), hello, ready(1), query("select 1"), ready(1))},
		{name: "a client that wants encryption by GSSAPI", bare: true, steps: do(packet(1234, 5680, ""), hearByte(), writesNoMore(), theEnd())},
		{name: "a client that asks for encryption twice", bare: true, steps: do(packet(1234, 5679, ""), hearByte(), packet(1234, 5679, ""), theEnd())},
		{name: "a packet without its end", bare: true, steps: do(packet(3, 0, "user\x00app\x00"), theEnd())},
		{name: "a packet with bytes behind its end", bare: true, steps: do(packet(3, 0, "user\x00app\x00\x00x"), theEnd())},
		{name: "a packet with a name and no value", bare: true, steps: do(packet(3, 0, "user\x00app\x00database\x00\x00"), theEnd())},
		{name: "a packet that is too short", bare: true, steps: do(raw("\x00\x00\x00\x07\x00\x03\x00"), theEnd())},
		{name: "a packet that is too long", bare: true, steps: do(raw("\x00\x00\x30\x00\x00\x03\x00\x00"), theEnd())},
		{name: "a client that says nothing", bare: true, steps: do(writesNoMore(), theEnd())},
		{name: "a client that goes in the middle of its packet", bare: true, steps: do(hello[:20], writesNoMore(), theEnd())},
		{name: "a client that asks at once", bare: true, steps: do(hello, query("select 1"), query("select 2"), ready(3))},
		{name: "a client that asks at once and goes", bare: true, steps: do(hello, query("select 1"), terminate(), theEnd())},
		{name: "a client that logs in and goes", bare: true, steps: do(hello, terminate(), theEnd())},
		{name: "a cancel request with a key that nobody has", bare: true, steps: do(packet(1234, 5678, "\x00\x00\x00\x01\x00\x00\x00\x02"), theEnd())},
		{name: "an HTTP client", bare: true, steps: do(raw("GET / HTTP/1.1\r\n\r\n"), theEnd())},
		{name: "a part of a style of dates", parameters: map[string]string{"datestyle": "sql", "extra_float_digits": "0"}, steps: do(query("show datestyle"), ready(1), elsewhere(), query("show datestyle"), ready(1))},
		{name: "parameters and a statement elsewhere", parameters: map[string]string{"work_mem": "3MB", "timezone": "Asia/Tokyo"}, steps: do(
			query("show work_mem; show timezone"), ready(1), elsewhere(), query("show work_mem; show timezone"), ready(1), elsewhere(), query("set timezone = 'UTC'"), ready(1), elsewhere(), query("show timezone"), ready(1))},
		{name: "an encoding of the start-up elsewhere", parameters: map[string]string{"client_encoding": "LATIN1"}, steps: do(
			query("select chr(233)"), ready(1), elsewhere(), query("select chr(233)"), ready(1))},
	}
}

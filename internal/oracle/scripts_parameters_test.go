package oracle

// parameterScripts are about settings that go with the session from server to server. The role other is the client's to take.
func parameterScripts() []script {
	show := func(names ...string) []message {
		var all []message
		for _, name := range names {
			all = append(all, query("select current_setting('"+name+"', true)"))
		}
		return all
	}
	began := map[string]string{"options": "-c work_mem=3MB -c search_path=pg_catalog,public -c app.tenant=x", "timezone": "Asia/Tokyo", "extra_float_digits": "0"}
	return []script{
		{name: "the form of bytes", steps: do(query("set bytea_output = escape"), ready(1), elsewhere(), query(`select '\x00ff'::bytea`), ready(1))},
		{name: "a search path of several schemas", steps: do(query(`set search_path = "My Schema", public, pg_catalog`), ready(1), elsewhere(), query("show search_path; select count(*) from t"), ready(1))},
		{name: "limits of time", steps: do(query("set statement_timeout = '3s'; set lock_timeout = 1234"), ready(1), elsewhere(), query("show statement_timeout; show lock_timeout"), ready(1))},
		{name: "a setting back to its default", steps: do(query("set work_mem = '5MB'"), ready(1), elsewhere(), query("set work_mem to default"), ready(1), elsewhere(), query("show work_mem"), ready(1))},
		{name: "a role that lasts", steps: do(query("set role other"), ready(1), elsewhere(), query("select current_user, session_user; show role"), ready(1), elsewhere(), query("reset role"), ready(1), elsewhere(), query("select current_user"), ready(1))},
		{name: "a role and none", steps: do(query("set role other"), ready(1), elsewhere(), query("set role none"), ready(1), elsewhere(), query("select current_user; show role"), ready(1))},
		{name: "a role that is refused", steps: do(query("set role nobody_at_all"), ready(1), elsewhere(), query("select current_user"), ready(1))},
		{name: "a role with a setting", steps: do(query("set role other; set search_path = pg_catalog, public; set app.tenant = 'x'"), ready(1), elsewhere(), query("select current_user; show search_path; show app.tenant"), ready(1))},
		{name: "a role of a transaction that is rolled back", steps: do(query("begin; set role other; select current_user; rollback"), ready(1), elsewhere(), query("select current_user"), ready(1))},
		{name: "one's own session authorization", steps: do(query("set role other; set session authorization app"), ready(1), elsewhere(), query("select current_user; reset session authorization"), ready(1), elsewhere(), query("select current_user, session_user"), ready(1))},
		{name: "a tenant", steps: do(query("set app.tenant = 'it''s \\ \"x\"'"), ready(1), elsewhere(), show("app.tenant"), ready(1), elsewhere(), query("reset app.tenant"), ready(1), elsewhere(), show("app.tenant"), ready(1))},
		{name: "a tenant of a transaction that is rolled back", steps: do(query("begin; select set_config('app.tenant', 'x', false); rollback"), ready(1), elsewhere(), show("app.tenant"), ready(1))},
		{name: "a tenant by a value of the client's", steps: do(batch("select set_config('app.tenant', $1, false)", "it's"), sync(), ready(1), elsewhere(), show("app.tenant"), ready(1))},
		{name: "settings back to a savepoint", steps: do(query("begin; set app.a = 1; savepoint s; set app.a = 2; set work_mem = '2MB'; rollback to s; commit"), ready(1), elsewhere(), show("app.a", "work_mem"), ready(2))},
		{name: "a local setting over another", steps: do(query("begin; set work_mem = '2MB'; set local work_mem = '3MB'; show work_mem; commit"), ready(1), elsewhere(), query("show work_mem"), ready(1))},
		{name: "a setting over a local one", steps: do(query("begin; set local work_mem = '3MB'; set work_mem = '2MB'; commit"), ready(1), elsewhere(), query("show work_mem"), ready(1))},
		{name: "a setting in a query that fails", steps: do(query("set work_mem = '2MB'; select 1/0"), ready(1), elsewhere(), query("show work_mem"), ready(1))},
		{name: "a setting that is bound in another batch", steps: do(parse("", "set work_mem = '2MB'"), sync(), ready(1), elsewhere(), bind("", ""), execute("", 0), sync(), ready(1), elsewhere(), query("show work_mem"), ready(1))},
		{name: "a setting that is not executed", steps: do(parse("", "set work_mem = '2MB'"), bind("", ""), sync(), ready(1), elsewhere(), query("show work_mem"), ready(1))},
		{name: "settings of the start-up elsewhere", parameters: began, steps: do(show("work_mem", "search_path", "app.tenant", "extra_float_digits"), ready(4), elsewhere(), show("work_mem", "search_path", "app.tenant", "extra_float_digits"), ready(4))},
		{name: "a setting of the start-up that is reset", parameters: began, steps: do(query("set work_mem = '5MB'; set app.tenant = 'y'"), ready(1), elsewhere(), query("reset work_mem"), query("reset app.tenant"), ready(2), elsewhere(), show("work_mem", "app.tenant"), ready(2))},
		{name: "a role of the start-up", parameters: map[string]string{"role": "other"}, steps: do(query("select current_user"), ready(1), elsewhere(), query("set role none"), ready(1), elsewhere(), query("select current_user"), ready(1), elsewhere(), query("reset role"), ready(1), elsewhere(), query("select current_user"), ready(1))},
		{name: "read-only from the start", parameters: map[string]string{"default_transaction_read_only": "on"}, steps: do(query("insert into t values (3)"), ready(1), elsewhere(), query("set default_transaction_read_only = off"), ready(1), elsewhere(), query("insert into t values (3)"), ready(1), elsewhere(), query("reset default_transaction_read_only"), ready(1), elsewhere(), query("insert into t values (4)"), ready(1))},
		{name: "what only the start can give", parameters: map[string]string{"post_auth_delay": "0", "work_mem": "3MB"}, steps: do(query("show work_mem"), ready(1))},
		{name: "RESET ALL to the start-up", parameters: began, steps: do(query("set work_mem = '5MB'; set search_path = public; set my.own = 'y'"), ready(1), elsewhere(), query("reset all"), ready(1), elsewhere(), show("work_mem", "search_path", "app.tenant", "my.own", "timezone"), ready(5))},
		{name: "DISCARD ALL to the start-up", parameters: began, steps: do(query("set role other; set timezone = 'UTC'"), ready(1), elsewhere(), query("discard all"), ready(1), elsewhere(), show("work_mem", "search_path", "app.tenant", "timezone", "role"), ready(5))},
		{name: "settings of the start-up that are reset in a block", parameters: began, steps: do(query("begin"), query("set work_mem = '5MB'; set timezone = 'UTC'"), query("reset work_mem"), query("set timezone to default;"),
			query("show work_mem; show timezone"), query("set app.tenant = 'y'; set extra_float_digits = 2"), query("RESET ALL"), query("select current_setting('app.tenant')"), query("show extra_float_digits"), ready(9),
			query("savepoint a"), query("set work_mem = '6MB'"), query("reset work_mem"), query("rollback to a"), query("show work_mem"), query("commit"), ready(6), elsewhere(), show("work_mem", "app.tenant", "timezone"), ready(3))},
		{name: "a setting of the start-up that is reset in a batch", parameters: began, steps: do(batch("reset work_mem"), batch("show work_mem"), sync(), ready(1), elsewhere(), show("work_mem"), ready(1))},
		{name: "a setting of the start-up that is reset in a text of several statements", parameters: began, steps: do(query("reset work_mem; show work_mem"), ready(1), elsewhere(), show("work_mem"), ready(1))},
		{name: "a time zone of the start-up that is reset in a text of several statements", parameters: map[string]string{"timezone": "Asia/Tokyo"}, steps: do(query("select 1; reset timezone"), ready(1), elsewhere(), query("show timezone"), ready(1))},
		{name: "a time zone of the start-up that is reset", parameters: map[string]string{"timezone": "Asia/Tokyo"}, steps: do(query("set timezone = 'Europe/Vienna'"), ready(1), elsewhere(), query("reset timezone"), ready(1), elsewhere(), query("show timezone"), ready(1))},
	}
}

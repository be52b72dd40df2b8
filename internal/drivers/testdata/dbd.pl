# What an application does with Perl's DBD::Pg. The argument is a word for the names of its own tables and channels.
use strict;
use warnings;
use DBI qw(:sql_types);
use DBD::Pg qw(:pg_types :async);

$| = 1;
my $me = $ARGV[0];
my $table = "dbd_items_$me";

sub connection {
	return DBI->connect("dbi:Pg:", undef, undef, { AutoCommit => 1, RaiseError => 1, PrintError => 0, PrintWarn => 0, pg_server_prepare => 1, @_ });
}

sub fill {
	my ($db, $rows) = @_;
	local $db->{Warn} = 0;
	$db->do("SET client_min_messages = warning");
	$db->do("DROP TABLE IF EXISTS $table");
	$db->do("CREATE TABLE $table (n int PRIMARY KEY, s text)");
	$db->do("INSERT INTO $table SELECT n, 'row ' || n FROM generate_series(1, ?) n", undef, $rows);
}

sub row { print join(" ", map { defined $_ ? $_ : "NULL" } @_), "\n" }

sub fails {
	my ($db, $body) = @_;
	eval { $body->(); 1 } or row($db->state, $db->errstr =~ /^([^\n]*)/);
}

my @scenarios = (
	"prepared by the server" => sub {
		my $db = connection();
		my @all = map { $db->prepare("SELECT ?::int + $_ + length('$me')") } 0 .. 9;
		my $sum = 0;
		for my $n (0 .. 19) {
			$sum += $db->selectrow_array($_, undef, $n) for @all;
		}
		row($sum);
	},
	"prepared at once" => sub {
		my $db = connection(pg_switch_prepared => 1);
		my $statement = $db->prepare("SELECT ?::text || '!'", { pg_prepare_now => 1 });
		row($db->selectrow_array($statement, undef, $_)) for 1 .. 5;
		row($db->selectrow_array("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%!%'"));
	},
	"prepared by the driver" => sub {
		my $db = connection(pg_server_prepare => 0);
		row($db->selectrow_array("SELECT ?::int, ?::text", undef, $_, "it's")) for 1 .. 3;
	},
	"a name of the application's" => sub {
		my $db = connection();
		$db->do("PREPARE mine(int) AS SELECT \$1 * 2");
		for my $n (1 .. 5) {
			my $statement = $db->prepare("SELECT ?::int * 2");
			$statement->{pg_prepare_name} = "mine";
			row($db->selectrow_array($statement, undef, $n));
		}
		$db->do("DEALLOCATE mine");
	},
	"placeholders" => sub {
		my $db = connection();
		row($db->selectrow_array('SELECT $1::int + $2::int + $1::int', undef, 1, 2));
		my $named = $db->prepare("SELECT :first::text || :second::text");
		$named->bind_param(":first", "a");
		$named->bind_param(":second", "b");
		$named->execute;
		row($named->fetchrow_array);
		my $bytes = $db->prepare("SELECT length(?), md5(?)");
		for my $size (10, 20000, 1 << 20) {
			$bytes->bind_param($_, "\0" x $size, { pg_type => PG_BYTEA }) for 1, 2;
			$bytes->execute;
			row($bytes->fetchrow_array);
		}
		row(map { scalar @$_ } $db->selectrow_array("SELECT ?::int[]", undef, [1, 2, 3]));
		$db->{pg_placeholder_dollaronly} = 1;
		row($db->selectrow_array(q{SELECT '{"a":1}'::jsonb ? 'a'}));
	},
	"savepoints" => sub {
		my $db = connection(AutoCommit => 0);
		fill($db, 1);
		$db->commit;
		$db->do("INSERT INTO $table VALUES (2, 'two')");
		$db->pg_savepoint("s");
		fails($db, sub { $db->do("INSERT INTO $table VALUES (?, 'again')", undef, 2) });
		fails($db, sub { $db->selectrow_array("SELECT 1") });
		row($db->ping);
		$db->pg_rollback_to("s");
		row($db->selectrow_array("SELECT count(*) FROM $table"));
		$db->pg_release("s");
		$db->rollback;
		row($db->selectrow_array("SELECT count(*) FROM $table"));
		$db->commit;
	},
	"asynchronous" => sub {
		my $db = connection();
		my $name = "sleeper $me";
		$db->do("SET application_name = '$name'");
		for (1 .. 3) {
			my $statement = $db->prepare("SELECT pg_sleep(0.05), ?::int", { pg_async => PG_ASYNC });
			$statement->execute($_);
			$db->pg_result;
			row(($statement->fetchrow_array)[1]);
		}
		my $other = connection();
		my $sleep = sub {
			$db->do("SELECT pg_sleep(60)", { pg_async => PG_ASYNC });
			1 until $other->selectrow_array("SELECT 1 FROM pg_stat_activity WHERE application_name = ? AND state = 'active'", undef, $name);
		};
		$sleep->();
		row($db->pg_cancel);
		row($db->selectrow_array("SELECT 'well'"));
		$sleep->();
		row($db->selectrow_array(my $after = $db->prepare("SELECT 'after'", { pg_async => PG_OLDQUERY_CANCEL })) // "no row yet");
	},
	"copies" => sub {
		my $db = connection();
		fill($db, 0);
		$db->do("COPY $table FROM STDIN");
		$db->pg_putcopydata("$_\t$me $_\n") for 1 .. 20000;
		$db->pg_putcopyend;
		$db->do("COPY (SELECT n FROM $table ORDER BY n) TO STDOUT");
		my ($sum, $line) = (0, "");
		$sum += $line while $db->pg_getcopydata($line) >= 0;
		row($sum);
		$db->do("COPY $table FROM STDIN");
		$db->pg_putcopydata("what is no row\n");
		fails($db, sub { $db->pg_putcopyend });
		row($db->selectrow_array("SELECT count(*) FROM $table"));
	},
	"notifications" => sub {
		my ($db, $other) = (connection(), connection());
		my $channel = "dbd_news_$me";
		$db->do("LISTEN $channel");
		$other->do("SELECT pg_notify(?, ?)", undef, $channel, $_) for qw(first second last);
		for (my $last = ""; $last ne "last";) {
			my $heard = $db->pg_notifies or next;
			$last = $heard->[2];
			row($last);
		}
	},
	"large objects" => sub {
		my $db = connection(AutoCommit => 0);
		my $object = $db->pg_lo_creat($db->{pg_INV_WRITE});
		my $handle = $db->pg_lo_open($object, $db->{pg_INV_WRITE});
		row($db->pg_lo_write($handle, "x" x 50000, 50000));
		$db->pg_lo_lseek($handle, 100, 0);
		row($db->pg_lo_tell($handle));
		$db->pg_lo_close($handle);
		$db->pg_lo_unlink($object);
		$db->commit;
	},
	"a cursor by SQL" => sub {
		my $db = connection(AutoCommit => 0);
		fill($db, 1000);
		$db->do("DECLARE c CURSOR WITH HOLD FOR SELECT n FROM $table ORDER BY n");
		$db->commit;
		my $sum = 0;
		while (my @rows = map { $_->[0] } @{ $db->selectall_arrayref("FETCH 70 FROM c") }) {
			$sum += $_ for @rows;
			$db->commit;
		}
		row($sum);
		$db->do("CLOSE c");
		$db->commit;
	},
	"what the driver asks of the catalogue" => sub {
		my $db = connection();
		fill($db, 1);
		row($db->primary_key(undef, "public", $table));
		my $columns = $db->column_info(undef, "public", $table, undef);
		while (my $c = $columns->fetchrow_hashref) { row($c->{COLUMN_NAME}, $c->{TYPE_NAME}) }
		my $statement = $db->prepare("SELECT * FROM $table");
		$statement->execute;
		row(@{ $statement->{NAME} });
		$db->do("CREATE TEMP SEQUENCE numbers_$me");
		$db->selectrow_array("SELECT nextval('numbers_$me')");
		row($db->last_insert_id(undef, undef, undef, undef, { sequence => "numbers_$me" }));
	},
);

while (my ($name, $scenario) = splice @scenarios, 0, 2) {
	print "== $name\n";
	eval { $scenario->(); 1 } or print $@ =~ s/ at \S+ line \d+.*//sr, "\n";    # the comparison judges
}

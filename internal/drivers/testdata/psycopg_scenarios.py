"""What an application does with psycopg 3. The argument is a word for the names of its own tables and channels."""

import sys
import threading

import psycopg
from psycopg import sql

ME = sys.argv[1]
TABLE = sql.Identifier(f"items_{ME}")


def connect(**more):
    return psycopg.connect("", **more)


def fill(conn, rows):
    conn.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(TABLE))
    conn.execute(sql.SQL("CREATE TABLE {} (n int PRIMARY KEY, s text)").format(TABLE))
    conn.execute(sql.SQL("INSERT INTO {} SELECT n, 'row ' || n FROM generate_series(1, %s) n").format(TABLE), [rows])


def statements(conn, rounds):
    total = 0
    for n in range(rounds):
        for k in range(10):
            total += conn.execute(f"SELECT %s::int + {k} + length('{ME}')", [n]).fetchone()[0]
    return total


def prepared_by_default():
    with connect(autocommit=True) as conn:  # the sixth time on it is a statement with a name
        print(statements(conn, 12), len(conn._prepared._names))


def prepared_at_once():
    with connect(autocommit=True, prepare_threshold=0) as conn:
        print(statements(conn, 3), len(conn._prepared._names))


def more_prepared_than_kept():
    with connect(autocommit=True, prepare_threshold=0) as conn:
        conn.prepared_max = 3  # the driver deallocates the oldest
        print(statements(conn, 3), len(conn._prepared._names))


def deallocated_and_discarded():
    for command in ("DEALLOCATE ALL", "DISCARD ALL"):
        with connect(autocommit=True, prepare_threshold=0) as conn:
            print(conn.execute("SELECT %s::text", [command]).fetchone())
            print(conn.execute(command).statusmessage)
            try:
                print(conn.execute("SELECT %s::text", [command]).fetchone())
            except psycopg.Error as e:  # the driver does not know
                print(e.sqlstate, e.diag.message_primary)


def changed_result():
    with connect(autocommit=True, prepare_threshold=0) as conn:
        fill(conn, 1)
        query = sql.SQL("SELECT * FROM {} WHERE n = %s").format(TABLE)
        print(conn.execute(query, [1]).fetchone())
        conn.execute(sql.SQL("ALTER TABLE {} ADD COLUMN more int DEFAULT 7").format(TABLE))
        for _ in range(2):
            try:
                print(conn.execute(query, [1]).fetchone())
            except psycopg.Error as e:
                print(e.sqlstate, e.diag.message_primary)
                conn.execute("DEALLOCATE ALL")
                conn._prepared.clear()


def pipeline():
    with connect(autocommit=True, prepare_threshold=0) as conn:
        fill(conn, 3)
        with conn.pipeline() as p:
            cursors = [conn.execute("SELECT %s::int * 2", [n]) for n in range(200)]
            p.sync()
            print(sum(c.fetchone()[0] for c in cursors))
        try:
            with conn.pipeline():
                conn.execute(sql.SQL("INSERT INTO {} VALUES (%s, 'gone')").format(TABLE), [10])
                conn.execute("SELECT 1 / %s::int", [0])
                conn.execute("SELECT 'never'")
        except psycopg.Error as e:
            print(e.sqlstate, e.diag.message_primary)
        print(conn.execute(sql.SQL("SELECT count(*) FROM {}").format(TABLE)).fetchone())
        with conn.pipeline(), conn.transaction():
            for n in range(10, 20):
                conn.execute(sql.SQL("INSERT INTO {} VALUES (%s, 'stays')").format(TABLE), [n])
        print(conn.execute(sql.SQL("SELECT count(*) FROM {}").format(TABLE)).fetchone())


def many_at_once():
    with connect() as conn:
        fill(conn, 0)
        with conn.cursor() as cur:
            cur.executemany(sql.SQL("INSERT INTO {} VALUES (%s, %s)").format(TABLE), [(n, f"{ME} {n}") for n in range(1000)])
            print(cur.rowcount)
        conn.commit()
        print(conn.execute(sql.SQL("SELECT count(*), sum(n) FROM {}").format(TABLE)).fetchone())


def blocks_and_savepoints():
    with connect() as conn:
        fill(conn, 2)
        conn.commit()
        with conn.transaction():
            conn.execute(sql.SQL("INSERT INTO {} VALUES (3, 'three')").format(TABLE))
            try:
                with conn.transaction():
                    conn.execute(sql.SQL("INSERT INTO {} VALUES (3, 'again')").format(TABLE))
            except psycopg.errors.UniqueViolation as e:
                print(e.sqlstate)
            print(conn.info.transaction_status.name)
        conn.execute(sql.SQL("DELETE FROM {}").format(TABLE))
        print(conn.info.transaction_status.name)
        conn.rollback()
        print(conn.execute(sql.SQL("SELECT count(*) FROM {}").format(TABLE)).fetchone(), conn.info.transaction_status.name)


def isolation_of_the_connection():
    with connect() as conn:
        conn.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        conn.read_only = True
        print(conn.execute("SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')").fetchone())
        conn.rollback()


def copy_both_ways():
    with connect() as conn:
        fill(conn, 0)
        with conn.cursor() as cur:
            with cur.copy(sql.SQL("COPY {} FROM STDIN").format(TABLE)) as copy:
                for n in range(20000):
                    copy.write_row((n, f"{ME} {n}"))
            print(cur.rowcount)
            with cur.copy(sql.SQL("COPY (SELECT * FROM {} ORDER BY n) TO STDOUT (FORMAT binary)").format(TABLE)) as copy:
                copy.set_types(["int4", "text"])
                print(sum(row[0] for row in copy.rows()))
        conn.commit()
        try:
            with conn.cursor() as cur, cur.copy(sql.SQL("COPY {} FROM STDIN").format(TABLE)) as copy:
                copy.write("what is no row\n")
        except psycopg.Error as e:
            print(e.sqlstate)
        conn.rollback()


def cursors_of_the_server():
    with connect() as conn:
        fill(conn, 1000)
        conn.commit()
        with conn.cursor("named") as cur:
            cur.itersize = 100
            cur.execute(sql.SQL("SELECT n FROM {} ORDER BY n").format(TABLE))
            print(sum(row[0] for row in cur))
        conn.commit()
        with conn.cursor("holds", withhold=True, scrollable=True) as cur:
            cur.execute(sql.SQL("SELECT n FROM {} ORDER BY n").format(TABLE))
            conn.commit()  # it lives on
            print(cur.fetchmany(3))
            cur.scroll(500, mode="absolute")
            print(cur.fetchone())
        conn.commit()


def notifications():
    channel = f"news_{ME}"
    with connect(autocommit=True) as listener, connect(autocommit=True) as other:
        listener.execute(f"LISTEN {channel}")
        for payload in ("first", "second", "last"):
            other.execute("SELECT pg_notify(%s, %s)", [channel, payload])
        for notify in listener.notifies():
            print(notify.payload)
            if notify.payload == "last":
                break


def cancelled():
    name = f"sleeper {ME}"
    with connect(autocommit=True, application_name=name) as conn, connect(autocommit=True) as other:
        def cancel():
            while not other.execute("SELECT 1 FROM pg_stat_activity WHERE application_name = %s AND state = 'active'", [name]).fetchone():
                pass
            conn.cancel()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        try:
            conn.execute("SELECT pg_sleep(60)")
        except psycopg.Error as e:
            print(e.sqlstate, e.diag.message_primary)
        canceller.join()
        print(conn.execute("SELECT 'well'").fetchone())


def options_of_the_login():
    with connect(autocommit=True, options="-c work_mem=7MB -c search_path=pg_catalog -c statement_timeout=55s") as conn:
        for _ in range(5):
            print([conn.execute(f"SHOW {name}").fetchone()[0] for name in ("work_mem", "search_path", "statement_timeout")])


def settings_of_the_session():
    with connect(autocommit=True) as conn:
        conn.execute("SET work_mem = '9MB'")
        conn.execute("SET TimeZone = 'Asia/Tokyo'")
        conn.execute("SELECT set_config('app.tenant', %s, false)", [ME])
        conn.execute("SET search_path = pg_temp, public")
        for _ in range(5):
            print([conn.execute(f"SHOW {name}").fetchone()[0] for name in ("work_mem", "TimeZone", "search_path")])
        print(conn.execute("SELECT current_setting('app.tenant') = %s", [ME]).fetchone(), conn.info.parameter_status("TimeZone"))
        conn.execute("RESET ALL")
        print(conn.execute("SHOW work_mem").fetchone()[0] != "9MB")


def large_values():
    with connect(autocommit=True) as conn:
        for size in (8191, 16384, 1 << 20, 8 << 20):
            print(conn.execute("SELECT length(%s::bytea), md5(%s::bytea)", [b"x" * size, b"y" * size], binary=True).fetchone())


def locks_of_the_session():
    with connect(autocommit=True) as conn, connect(autocommit=True) as other:
        key = sum(map(ord, ME))
        print(conn.execute("SELECT pg_try_advisory_lock(%s)", [key]).fetchone(), other.execute("SELECT pg_try_advisory_lock(%s)", [key]).fetchone())
        print(conn.execute("SELECT pg_advisory_unlock(%s)", [key]).fetchone(), other.execute("SELECT pg_try_advisory_lock(%s)", [key]).fetchone())


def temporary_tables():
    with connect(autocommit=True) as conn:
        conn.execute("CREATE TEMP TABLE mine AS SELECT 1 AS n")
        for _ in range(5):
            conn.execute("UPDATE mine SET n = n * 2")
        print(conn.execute("SELECT n FROM mine").fetchone())


def sequences():
    with connect(autocommit=True) as conn:
        name = f"numbers_{ME}"
        conn.execute(f"DROP SEQUENCE IF EXISTS {name}")
        conn.execute(f"CREATE SEQUENCE {name}")
        for _ in range(5):
            last = conn.execute("SELECT nextval(%s)", [name]).fetchone()
            print(last == conn.execute("SELECT currval(%s)", [name]).fetchone() == conn.execute("SELECT lastval()").fetchone())


for scenario in (
    prepared_by_default, prepared_at_once, more_prepared_than_kept, deallocated_and_discarded, changed_result, pipeline, many_at_once,
    blocks_and_savepoints, isolation_of_the_connection, copy_both_ways, cursors_of_the_server, notifications, cancelled,
    options_of_the_login, settings_of_the_session, large_values, locks_of_the_session, temporary_tables, sequences,
):
    print("==", scenario.__name__, flush=True)
    try:
        scenario()
    except Exception as e:  # the comparison judges
        print(type(e).__name__, getattr(e, "sqlstate", ""), e)

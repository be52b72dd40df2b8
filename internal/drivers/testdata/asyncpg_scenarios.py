"""What an application does with asyncpg. The argument is a word for the names of its own tables and channels."""

import asyncio
import os
import sys

import asyncpg

ME = sys.argv[1]
TABLE = f"async_items_{ME}"


async def connect(**more):
    return await asyncpg.connect(host=os.environ["PGHOST"], port=int(os.environ["PGPORT"]), user=os.environ["PGUSER"],
                                 database=os.environ["PGDATABASE"], ssl=False, **more)


async def fill(conn, rows):
    await conn.execute(f"DROP TABLE IF EXISTS {TABLE}")
    await conn.execute(f"CREATE TABLE {TABLE} (n int PRIMARY KEY, s text)")
    await conn.execute(f"INSERT INTO {TABLE} SELECT n, 'row ' || n FROM generate_series(1, $1::int) n", rows)


async def statement_cache():
    conn = await connect()
    total = 0
    for n in range(20):
        for k in range(10):
            total += await conn.fetchval(f"SELECT $1::int + {k} + length('{ME}')", n)
    print(total)
    await conn.close()


async def small_statement_cache():
    conn = await connect(statement_cache_size=3)
    print([await conn.fetchval(f"SELECT $1::int * {k}", k) for _ in range(3) for k in range(8)])
    await conn.close()


async def no_statement_cache():
    conn = await connect(statement_cache_size=0)
    print([await conn.fetchval("SELECT $1::int", n) for n in range(5)])
    await conn.close()


async def prepared_statements():
    conn = await connect()
    first, second = await conn.prepare("SELECT $1::int + 1"), await conn.prepare("SELECT $1::text || '!'")
    for n in range(5):
        print(await first.fetchval(n), await second.fetchval(str(n)))
    print(first.get_parameters()[0].name, [a.type.name for a in second.get_attributes()])
    await conn.close()


async def changed_result():
    conn = await connect()
    await fill(conn, 1)
    print(await conn.fetchrow(f"SELECT * FROM {TABLE}"))
    await conn.execute(f"ALTER TABLE {TABLE} ADD COLUMN more int DEFAULT 7")
    print(await conn.fetchrow(f"SELECT * FROM {TABLE}"))  # the driver prepares anew
    await conn.close()


async def changed_type():
    conn = await connect()
    await conn.execute(f"DROP TYPE IF EXISTS mood_{ME} CASCADE")
    await conn.execute(f"CREATE TYPE mood_{ME} AS ENUM ('sad', 'glad')")
    print(await conn.fetchval(f"SELECT $1::mood_{ME}", "glad"))
    await conn.execute(f"DROP TYPE mood_{ME}")
    try:
        await conn.fetchval(f"SELECT $1::mood_{ME}", "glad")
    except asyncpg.PostgresError:  # in which words hangs on whether the server has seen the type
        print("refused")
    await conn.close()


async def transactions():
    conn = await connect()
    await fill(conn, 2)
    try:
        async with conn.transaction():
            await conn.execute(f"INSERT INTO {TABLE} VALUES (3, 'three')")
            try:
                async with conn.transaction():
                    await conn.execute(f"INSERT INTO {TABLE} VALUES (3, 'again')")
            except asyncpg.UniqueViolationError as e:
                print(e.sqlstate)
            print(await conn.fetchval(f"SELECT count(*) FROM {TABLE}"))
            await conn.execute("SELECT 1 / 0")
    except asyncpg.DivisionByZeroError as e:
        print(e.sqlstate)
    print(await conn.fetchval(f"SELECT count(*) FROM {TABLE}"))
    async with conn.transaction(isolation="serializable", readonly=True):
        print(await conn.fetchval("SHOW transaction_isolation"))
    await conn.close()


async def cursors():
    conn = await connect()
    await fill(conn, 1000)
    async with conn.transaction():
        total = 0
        async for row in conn.cursor(f"SELECT n FROM {TABLE}", prefetch=70):
            total += row["n"]
        cursor = await conn.cursor(f"SELECT n FROM {TABLE} ORDER BY n")
        await cursor.forward(10)
        print(total, [row["n"] for row in await cursor.fetch(3)])
    await conn.close()


async def many_at_once():
    conn = await connect()
    await fill(conn, 0)
    await conn.executemany(f"INSERT INTO {TABLE} VALUES ($1, $2)", [(n, f"{ME} {n}") for n in range(3000)])
    print(await conn.fetchval(f"SELECT sum(n) FROM {TABLE}"))
    try:
        await conn.executemany(f"INSERT INTO {TABLE} VALUES ($1, $2)", [(n, "again") for n in (5000, 5001, 7, 5002)])
    except asyncpg.UniqueViolationError as e:
        print(e.sqlstate)
    print(await conn.fetchval(f"SELECT count(*) FROM {TABLE}"))
    await conn.close()


async def copy_both_ways():
    conn = await connect()
    await fill(conn, 0)
    print(await conn.copy_records_to_table(TABLE, records=[(n, f"{ME} {n}") for n in range(20000)]))
    size = 0

    async def took(data):
        nonlocal size
        size += len(data)

    print(await conn.copy_from_query(f"SELECT n FROM {TABLE} WHERE n < $1", 1000, output=took), size)
    try:
        await conn.copy_records_to_table(TABLE, records=[(7, "again")])
    except asyncpg.UniqueViolationError as e:
        print(e.sqlstate)
    print(await conn.fetchval(f"SELECT count(*) FROM {TABLE}"))
    await conn.close()


async def listeners():
    conn, other = await connect(), await connect()
    heard = asyncio.Queue()
    channel = f"async_news_{ME}"
    await conn.add_listener(channel, lambda c, pid, name, payload: heard.put_nowait(payload))
    for n in range(3):
        await other.execute("SELECT pg_notify($1, $2)", channel, str(n))
    print([await asyncio.wait_for(heard.get(), 60) for _ in range(3)])
    await conn.reset()
    await conn.close()
    await other.close()


async def cancelled_by_timeout():
    conn = await connect()
    for _ in range(2):
        try:
            await conn.fetchval("SELECT pg_sleep(60)", timeout=2)
        except asyncio.TimeoutError:
            print("in time")
        print(await conn.fetchval("SELECT 'well'"))
    await conn.close()


async def pool_of_connections():
    async with asyncpg.create_pool(min_size=1, max_size=4, host=os.environ["PGHOST"], port=int(os.environ["PGPORT"]),
                                   user=os.environ["PGUSER"], database=os.environ["PGDATABASE"], ssl=False) as pool:
        async def one(n):
            async with pool.acquire() as conn:  # each is reset when it is given back
                async with conn.transaction():
                    return await conn.fetchval("SELECT $1::int * 2", n)
        print(sum(await asyncio.gather(*(one(n) for n in range(200)))))


async def settings_of_the_login():
    conn = await connect(server_settings={"application_name": f"app {ME}", "work_mem": "7MB", "search_path": "pg_catalog"})
    for _ in range(5):
        print(await conn.fetchval("SHOW work_mem"), await conn.fetchval("SHOW search_path"))
    print(await conn.fetchval("SHOW application_name") == f"app {ME}")
    await conn.close()


async def types_by_introspection():
    conn = await connect()
    print(await conn.fetchval("SELECT ARRAY[ROW(1, 'a'), ROW(2, 'b')]"), await conn.fetchval("SELECT '{1,2}'::int[]"))
    print(await conn.fetchval("SELECT $1::numrange", asyncpg.Range(1, 5)))
    await conn.close()


async def main():
    for scenario in (
        statement_cache, small_statement_cache, no_statement_cache, prepared_statements, changed_result, changed_type, transactions,
        cursors, many_at_once, copy_both_ways, listeners, cancelled_by_timeout, pool_of_connections, settings_of_the_login,
        types_by_introspection,
    ):
        print("==", scenario.__name__, flush=True)
        try:
            await scenario()
        except Exception as e:  # the comparison judges
            print(type(e).__name__, getattr(e, "sqlstate", ""), e)


asyncio.run(main())

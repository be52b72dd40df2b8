// What an application does with node-postgres. The argument is a word for the names of its own tables and channels.
'use strict'

const { pipeline } = require('node:stream/promises')
const { Readable, Writable } = require('node:stream')
const { Client, Pool } = require('pg')
const Cursor = require('pg-cursor')
const { from: copyFrom, to: copyTo } = require('pg-copy-streams')

const me = process.argv[2]
const table = `node_items_${me}`

async function connect (more) {
  const client = new Client(more)
  await client.connect()
  return client
}

async function withClient (more, body) {
  const client = await connect(more)
  try {
    await body(client)
  } finally {
    await client.end()
  }
}

async function fill (client, rows) {
  await client.query(`DROP TABLE IF EXISTS ${table}; CREATE TABLE ${table} (n int PRIMARY KEY, s text)`)
  await client.query(`INSERT INTO ${table} SELECT n, 'row ' || n FROM generate_series(1, $1::int) n`, [rows])
}

// whileItSleeps cancels a client that surely sleeps.
async function whileItSleeps (cancel) {
  const name = `sleeper ${me}`
  await withClient({ application_name: name }, client => withClient({}, async other => {
    const sleeps = client.query('SELECT pg_sleep(60)').catch(e => console.log(e.code, e.message))
    for (let asleep = false; !asleep;) {
      const { rowCount } = await other.query("SELECT 1 FROM pg_stat_activity WHERE application_name = $1 AND state = 'active'", [name])
      asleep = rowCount > 0
    }
    await cancel(client, other, name)
    await sleeps
    console.log((await client.query("SELECT 'well' AS s")).rows)
  }))
}

const scenarios = {
  async queriesWithNames () {
    await withClient({}, async client => {
      for (let round = 0; round < 5; round++) {
        for (const name of ['one', 'two', 'three']) { // another text for each application
          const { rows } = await client.query({ name, text: `SELECT $1::int AS n, '${name} of ' || length('${me}') AS s`, values: [round] })
          console.log(rows)
        }
      }
    })
  },

  async queriesWithNamesAtOnce () {
    await withClient({}, async client => {
      const all = []
      for (let n = 0; n < 100; n++) {
        all.push(client.query({ name: `q${n % 7}`, text: `SELECT $1::int * ${n % 7} AS n`, values: [n] }))
      }
      console.log((await Promise.all(all)).map(r => r.rows[0].n).join(' '))
    })
  },

  async aNameThatFails () {
    await withClient({}, async client => {
      const wrong = { name: 'wrong', text: 'SELECT nothing FROM nowhere' }
      for (let n = 0; n < 2; n++) {
        await client.query(wrong).catch(e => console.log(e.code, e.message))
      }
      const division = { name: 'division', text: 'SELECT 10 / $1::int AS n' }
      await client.query({ ...division, values: [0] }).catch(e => console.log(e.code, e.message))
      console.log((await client.query({ ...division, values: [5] })).rows)
    })
  },

  async aResultThatChanges () {
    await withClient({}, async client => {
      await fill(client, 1)
      const query = { name: 'all', text: `SELECT * FROM ${table} WHERE n = $1`, values: [1] }
      console.log((await client.query(query)).rows)
      await client.query(`ALTER TABLE ${table} ADD COLUMN more int DEFAULT 7`)
      await client.query(query).then(r => console.log(r.rows), e => console.log(e.code, e.message))
      console.log((await client.query({ ...query, name: 'all again' })).rows)
    })
  },

  async transactions () {
    await withClient({}, async client => {
      await fill(client, 1)
      await client.query('BEGIN')
      await client.query(`INSERT INTO ${table} VALUES ($1, $2)`, [2, 'two'])
      await client.query('SAVEPOINT s')
      await client.query(`INSERT INTO ${table} VALUES (1, 'again')`).catch(e => console.log(e.code))
      await client.query('SELECT 1').catch(e => console.log(e.code))
      await client.query('ROLLBACK TO s')
      console.log((await client.query(`SELECT count(*) FROM ${table}`)).rows)
      await client.query('ROLLBACK')
      console.log((await client.query(`SELECT count(*) FROM ${table}`)).rows)
    })
  },

  async copies () {
    await withClient({}, async client => {
      await fill(client, 0)
      const lines = function * () { for (let n = 0; n < 20000; n++) yield `${n}\t${me} ${n}\n` }
      const into = client.query(copyFrom(`COPY ${table} FROM STDIN`))
      await pipeline(Readable.from(lines()), into)
      console.log(into.rowCount)
      let size = 0
      await pipeline(client.query(copyTo(`COPY (SELECT n FROM ${table}) TO STDOUT`)),
        new Writable({ write (chunk, _, done) { size += chunk.length; done() } }))
      console.log(size)
      const wrong = client.query(copyFrom(`COPY ${table} FROM STDIN`))
      await pipeline(Readable.from(['what is no row\n']), wrong).catch(e => console.log(e.code))
      console.log((await client.query(`SELECT count(*) FROM ${table}`)).rows)
    })
  },

  async cursors () {
    await withClient({}, async client => {
      await fill(client, 1000)
      const cursor = client.query(new Cursor(`SELECT n FROM ${table} WHERE n > $1 ORDER BY n`, [10]))
      let total = 0
      for (let rows = await cursor.read(70); rows.length > 0; rows = await cursor.read(70)) {
        total += rows.reduce((sum, row) => sum + row.n, 0)
      }
      const early = client.query(new Cursor(`SELECT n FROM ${table} ORDER BY n`))
      console.log(total, await early.read(2))
      await early.close()
      console.log((await client.query('SELECT 1 AS n')).rows)
    })
  },

  async notifications () {
    const channel = `node_news_${me}`
    await withClient({}, listener => withClient({}, async other => {
      const heard = []
      const last = new Promise(resolve => listener.on('notification', m => {
        heard.push(m.payload)
        if (m.payload === 'last') resolve()
      }))
      await listener.query(`LISTEN ${channel}`)
      for (const payload of ['first', 'second', 'last']) {
        await other.query('SELECT pg_notify($1, $2)', [channel, payload])
      }
      await last
      console.log(heard)
    }))
  },

  async cancelledByTheServerProcess () {
    await whileItSleeps(async (client, other, name) => {
      await other.query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND state = 'active'", [name])
    })
  },

  async cancelledByKey () {
    await whileItSleeps(async client => {
      const canceller = new Client()
      canceller.connection.on('connect', () => canceller.connection.cancel(client.processID, client.secretKey))
      canceller.connection.connect(canceller.port, canceller.host)
    })
  },

  async timeoutsOfStatements () {
    await withClient({ statement_timeout: 300 }, async client => {
      for (let n = 0; n < 3; n++) {
        await client.query('SELECT pg_sleep(60)').catch(e => console.log(e.code, e.message))
        console.log((await client.query('SHOW statement_timeout')).rows)
      }
    })
  },

  async largeParameters () {
    await withClient({}, async client => {
      for (const size of [8191, 16384, 1 << 20, 8 << 20]) {
        const text = 'x'.repeat(size)
        console.log((await client.query('SELECT length($1::text) AS n, md5($2::bytea) AS m', [text, Buffer.alloc(size, 'y')])).rows)
        console.log((await client.query({ name: 'large', text: 'SELECT length($1::text) AS n', values: [text] })).rows)
      }
    })
  },

  async aPoolOfClients () {
    const pool = new Pool({ max: 5 })
    const all = []
    for (let n = 0; n < 100; n++) {
      all.push(pool.query({ name: `p${n % 3}`, text: `SELECT $1::int + ${n % 3} AS n`, values: [n] }))
    }
    console.log((await Promise.all(all)).reduce((sum, r) => sum + r.rows[0].n, 0))
    await pool.end()
  },

  async settings () {
    await withClient({ options: '-c work_mem=7MB -c geqo=off' }, async client => {
      await client.query("SET TIME ZONE 'Asia/Tokyo'; SET search_path = pg_catalog")
      for (let n = 0; n < 5; n++) {
        const { rows } = await client.query(
          "SELECT current_setting('work_mem') w, current_setting('geqo') g, current_setting('TimeZone') t, current_setting('search_path') p")
        console.log(rows)
      }
    })
  },

  async severalStatementsInAQuery () {
    await withClient({}, async client => {
      const results = await client.query('CREATE TEMP TABLE mine (n int); INSERT INTO mine VALUES (1), (2); SELECT sum(n) FROM mine')
      console.log(results.map(r => [r.command, r.rowCount]), results[2].rows)
      console.log((await client.query('SELECT count(*) FROM mine')).rows)
    })
  }
}

async function main () {
  for (const [name, scenario] of Object.entries(scenarios)) {
    console.log('==', name)
    try {
      await scenario()
    } catch (e) { // the comparison judges
      console.log(e.code, e.message)
    }
  }
}

main()

import java.io.StringReader;
import java.sql.*;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import org.postgresql.PGConnection;

/** What an application does with PostgreSQL's JDBC driver. The argument is a word for the names of its own tables and channels. */
public class Jdbc {
    private static String me, table;

    interface Scenario {
        void play() throws Exception;
    }

    private static Connection connect(String... settings) throws SQLException {
        Properties p = new Properties();
        p.setProperty("user", System.getenv("PGUSER"));
        p.setProperty("sslmode", "disable");
        for (int i = 0; i < settings.length; i += 2) {
            p.setProperty(settings[i], settings[i + 1]);
        }
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        return DriverManager.getConnection(url, p);
    }

    private static void exec(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute(sql);
        }
    }

    private static String ask(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(sql)) {
            r.next();
            return r.getString(1);
        }
    }

    private static void fill(Connection c, int rows) throws SQLException {
        exec(c, "DROP TABLE IF EXISTS " + table);
        exec(c, "CREATE TABLE " + table + " (n int PRIMARY KEY, s text)");
        exec(c, "INSERT INTO " + table + " SELECT n, 'row ' || n FROM generate_series(1, " + rows + ") n");
    }

    private static void told(SQLException e) {
        System.out.println(e.getSQLState() + " " + e.getMessage().split("\n")[0]);
    }

    private static void statements(String threshold) throws SQLException {
        try (Connection c = connect("prepareThreshold", threshold)) {
            long sum = 0;
            PreparedStatement[] all = new PreparedStatement[10];
            for (int k = 0; k < all.length; k++) {
                all[k] = c.prepareStatement("SELECT ?::int + " + k + " + length('" + me + "')");
            }
            for (int n = 0; n < 20; n++) {
                for (PreparedStatement s : all) {
                    s.setInt(1, n);
                    try (ResultSet r = s.executeQuery()) {
                        r.next();
                        sum += r.getLong(1);
                    }
                }
            }
            System.out.println(sum);
        }
    }

    private static void fewStatementsKept() throws SQLException {
        try (Connection c = connect("prepareThreshold", "1", "preparedStatementCacheQueries", "3")) {
            for (int n = 0; n < 30; n++) { // the driver closes those that it lets go
                try (PreparedStatement s = c.prepareStatement("SELECT ? || ' " + n % 8 + "'")) {
                    s.setString(1, "text");
                    try (ResultSet r = s.executeQuery()) {
                        r.next();
                        System.out.println(r.getString(1));
                    }
                }
            }
        }
    }

    private static void batch(String rewrite) throws SQLException {
        try (Connection c = connect("prepareThreshold", "1", "reWriteBatchedInserts", rewrite)) {
            for (boolean auto : new boolean[] {true, false}) {
                c.setAutoCommit(true);
                fill(c, 0);
                c.setAutoCommit(auto);
                try (PreparedStatement s = c.prepareStatement("INSERT INTO " + table + " VALUES (?, ?)")) {
                    for (int n = 0; n < 5000; n++) {
                        s.setInt(1, n);
                        s.setString(2, me + " " + n);
                        s.addBatch();
                    }
                    System.out.println(s.executeBatch().length);
                    for (int n : new int[] {6000, 6001, 7, 6002}) {
                        s.setInt(1, n);
                        s.addBatch();
                    }
                    s.executeBatch();
                } catch (BatchUpdateException e) {
                    System.out.println(e.getSQLState() + " " + e.getUpdateCounts().length);
                }
                if (!auto) {
                    c.rollback();
                }
                System.out.println(ask(c, "SELECT count(*) FROM " + table));
            }
        }
    }

    private static void batchWithKeys() throws SQLException {
        try (Connection c = connect()) {
            exec(c, "DROP TABLE IF EXISTS keys_" + me);
            exec(c, "CREATE TABLE keys_" + me + " (id serial PRIMARY KEY, s text)");
            try (PreparedStatement s = c.prepareStatement("INSERT INTO keys_" + me + " (s) VALUES (?)", Statement.RETURN_GENERATED_KEYS)) {
                for (int n = 0; n < 300; n++) {
                    s.setString(1, "s" + n);
                    s.addBatch();
                }
                s.executeBatch();
                long sum = 0;
                try (ResultSet r = s.getGeneratedKeys()) {
                    while (r.next()) {
                        sum += r.getLong(1);
                    }
                }
                System.out.println(sum);
            }
        }
    }

    private static void timeouts() throws SQLException {
        try (Connection c = connect(); Statement s = c.createStatement()) {
            for (int n = 0; n < 2; n++) {
                s.setQueryTimeout(2);
                try {
                    s.execute("SELECT pg_sleep(60)");
                } catch (SQLException e) {
                    told(e);
                }
                s.setQueryTimeout(0);
                System.out.println(ask(c, "SELECT 'well'"));
            }
        }
    }

    private static void cancelled() throws Exception {
        String name = "sleeper " + me;
        try (Connection c = connect("ApplicationName", name); Connection other = connect(); Statement s = c.createStatement()) {
            CompletableFuture<Void> cancel = CompletableFuture.runAsync(() -> {
                try {
                    String asleep = "SELECT count(*) FROM pg_stat_activity WHERE application_name = '" + name + "' AND state = 'active'";
                    while (!ask(other, asleep).equals("1")) {
                        Thread.onSpinWait();
                    }
                    s.cancel();
                } catch (Exception e) {
                    System.out.println(e);
                }
            });
            try {
                s.execute("SELECT pg_sleep(60)");
            } catch (SQLException e) {
                told(e);
            }
            cancel.join();
            System.out.println(ask(c, "SELECT 'well'"));
        }
    }

    private static void savepoints(String autosave) throws SQLException {
        try (Connection c = connect("autosave", autosave, "prepareThreshold", "1")) {
            fill(c, 1);
            c.setAutoCommit(false);
            exec(c, "INSERT INTO " + table + " VALUES (2, 'two')");
            Savepoint before = c.setSavepoint("before");
            try {
                exec(c, "INSERT INTO " + table + " VALUES (2, 'again')");
            } catch (SQLException e) {
                told(e);
            }
            try {
                System.out.println(ask(c, "SELECT count(*) FROM " + table));
            } catch (SQLException e) {
                told(e);
            }
            c.rollback(before);
            System.out.println(ask(c, "SELECT count(*) FROM " + table));
            c.rollback();
            System.out.println(ask(c, "SELECT count(*) FROM " + table));
        }
    }

    private static void cursors() throws SQLException {
        try (Connection c = connect("prepareThreshold", "1")) {
            fill(c, 1000);
            c.setAutoCommit(false);
            for (int round = 0; round < 3; round++) {
                long sum = 0;
                try (PreparedStatement s = c.prepareStatement("SELECT n FROM " + table + " WHERE n > ?")) {
                    s.setInt(1, round);
                    s.setFetchSize(70);
                    try (ResultSet r = s.executeQuery()) {
                        while (r.next()) {
                            sum += r.getInt(1);
                        }
                    }
                }
                System.out.println(sum);
                c.commit();
            }
            c.setHoldability(ResultSet.HOLD_CURSORS_OVER_COMMIT);
        }
    }

    private static void changedResult(String autosave) throws SQLException {
        try (Connection c = connect("prepareThreshold", "1", "autosave", autosave)) {
            fill(c, 1);
            try (PreparedStatement s = c.prepareStatement("SELECT * FROM " + table)) {
                for (int n = 0; n < 4; n++) {
                    if (n == 2) {
                        exec(c, "ALTER TABLE " + table + " ADD COLUMN more int DEFAULT 7");
                    }
                    try (ResultSet r = s.executeQuery()) {
                        System.out.println(r.getMetaData().getColumnCount());
                    } catch (SQLException e) {
                        told(e);
                    }
                }
            }
        }
    }

    private static void settings() throws SQLException {
        try (Connection c = connect("options", "-c work_mem=7MB -c search_path=pg_catalog", "ApplicationName", "jdbc " + me)) {
            c.setReadOnly(true);
            c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            for (int n = 0; n < 5; n++) {
                System.out.println(ask(c, "SHOW work_mem") + ask(c, "SHOW search_path") + ask(c, "SHOW default_transaction_isolation")
                    + ask(c, "SHOW transaction_read_only") + ask(c, "SHOW application_name").equals("jdbc " + me));
            }
            c.setReadOnly(false);
            c.setSchema("public");
            c.setClientInfo("ApplicationName", "other");
            for (int n = 0; n < 5; n++) {
                System.out.println(c.getSchema() + ask(c, "SHOW application_name") + c.getTransactionIsolation());
            }
        }
    }

    private static void copies() throws Exception {
        try (Connection c = connect()) {
            fill(c, 0);
            StringBuilder rows = new StringBuilder();
            for (int n = 0; n < 20000; n++) {
                rows.append(n).append('\t').append(me).append('\n');
            }
            var copy = c.unwrap(PGConnection.class).getCopyAPI();
            System.out.println(copy.copyIn("COPY " + table + " FROM STDIN", new StringReader(rows.toString())));
            var out = new java.io.StringWriter();
            System.out.println(copy.copyOut("COPY (SELECT n FROM " + table + ") TO STDOUT", out) + " " + out.toString().length());
            try {
                copy.copyIn("COPY " + table + " FROM STDIN", new StringReader("what is no row\n"));
            } catch (SQLException e) {
                told(e);
            }
            System.out.println(ask(c, "SELECT count(*) FROM " + table));
        }
    }

    private static void notifications() throws SQLException {
        try (Connection c = connect(); Connection other = connect()) {
            String channel = "jdbc_news_" + me;
            exec(c, "LISTEN " + channel);
            for (String payload : new String[] {"first", "second", "last"}) {
                exec(other, "NOTIFY " + channel + ", '" + payload + "'");
            }
            for (String last = ""; !last.equals("last");) {
                for (var n : c.unwrap(PGConnection.class).getNotifications(0)) {
                    last = n.getParameter();
                    System.out.println(last);
                }
            }
        }
    }

    private static void binaryTransfer() throws SQLException {
        try (Connection c = connect("prepareThreshold", "-1")) {
            try (PreparedStatement s = c.prepareStatement("SELECT ?::int, ?::timestamptz, ?::bytea, ?::float8[]")) {
                for (int n = 0; n < 5; n++) {
                    s.setInt(1, n);
                    s.setTimestamp(2, new Timestamp(1_000_000_000_000L + n));
                    s.setBytes(3, new byte[100_000 * n]);
                    s.setArray(4, c.createArrayOf("float8", new Double[] {1.5, 2.5 * n}));
                    try (ResultSet r = s.executeQuery()) {
                        r.next();
                        System.out.println(r.getInt(1) + " " + r.getTimestamp(2).getTime() + " " + r.getBytes(3).length + " " + r.getArray(4));
                    }
                }
            }
        }
    }

    private static void metadata() throws SQLException {
        try (Connection c = connect("prepareThreshold", "1")) {
            fill(c, 1);
            for (int n = 0; n < 3; n++) {
                try (ResultSet r = c.getMetaData().getColumns(null, "public", table, "%")) {
                    while (r.next()) {
                        System.out.println(r.getString("COLUMN_NAME") + " " + r.getString("TYPE_NAME"));
                    }
                }
            }
        }
    }

    private static void play(String name, Scenario scenario) {
        System.out.println("== " + name);
        try {
            scenario.play();
        } catch (Exception e) { // the comparison judges
            System.out.println(e);
        }
    }

    public static void main(String[] args) {
        me = args[0];
        table = "jdbc_items_" + me;
        play("statements with names at once", () -> statements("1"));
        play("statements with names after five times", () -> statements("5"));
        play("statements without names", () -> statements("0"));
        play("few statements are kept", Jdbc::fewStatementsKept);
        play("batches", () -> batch("false"));
        play("batches of rewritten inserts", () -> batch("true"));
        play("a batch that brings keys", Jdbc::batchWithKeys);
        play("timeouts", Jdbc::timeouts);
        play("cancelled", Jdbc::cancelled);
        play("savepoints", () -> savepoints("never"));
        play("savepoints of the driver", () -> savepoints("always"));
        play("cursors", Jdbc::cursors);
        play("a result that changes", () -> changedResult("never"));
        play("a result that changes, with savepoints of the driver", () -> changedResult("conservative"));
        play("settings", Jdbc::settings);
        play("copies", Jdbc::copies);
        play("notifications", Jdbc::notifications);
        play("values in binary", Jdbc::binaryTransfer);
        play("metadata", Jdbc::metadata);
    }
}

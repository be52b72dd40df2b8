<?php
// What an application does with PHP's PDO. The argument is a word for the names of its own tables.

$me = $argv[1];
$table = "pdo_items_$me";

function connection(array $options = []): PDO
{
    $db = new PDO('pgsql:sslmode=disable', null, null, $options);
    $db->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
    return $db;
}

function fill(PDO $db, int $rows): void
{
    global $table;
    $db->exec("DROP TABLE IF EXISTS $table");
    $db->exec("CREATE TABLE $table (n serial PRIMARY KEY, s text)");
    $insert = $db->prepare("INSERT INTO $table (s) SELECT 'row ' || n FROM generate_series(1, ?::int) n");
    $insert->execute([$rows]);
}

function row(mixed ...$values): void
{
    echo json_encode($values), "\n";
}

$scenarios = [
    'statements with names' => function () use ($me) {
        $db = connection();
        $all = [];
        for ($k = 0; $k < 10; $k++) {
            $all[] = $db->prepare("SELECT :n::int + $k + length('$me')");
        }
        $sum = 0;
        for ($n = 0; $n < 20; $n++) {
            foreach ($all as $statement) {
                $statement->execute(['n' => $n]);
                $sum += $statement->fetchColumn();
            }
        }
        row($sum);
        unset($all); // the driver deallocates them
        row($db->query("SELECT 'well'")->fetchColumn());
    },
    'statements without names' => function () {
        $db = connection([PDO::PGSQL_ATTR_DISABLE_PREPARES => true]);
        $statement = $db->prepare('SELECT ?::int * 2');
        for ($n = 0; $n < 5; $n++) {
            $statement->execute([$n]);
            row($statement->fetchColumn());
        }
    },
    'statements emulated' => function () {
        $db = connection([PDO::ATTR_EMULATE_PREPARES => true]);
        $statement = $db->prepare('SELECT ?, ?');
        $statement->execute([1, "it's"]);
        row($statement->fetch(PDO::FETCH_NUM));
    },
    'transactions' => function () use ($table) {
        $db = connection();
        fill($db, 1);
        $db->beginTransaction();
        $db->exec("INSERT INTO $table (s) VALUES ('two')");
        row($db->lastInsertId(), $db->lastInsertId("{$table}_n_seq"), $db->inTransaction());
        $db->exec('SAVEPOINT s');
        try {
            $db->prepare("INSERT INTO $table VALUES (?, 'again')")->execute([1]);
        } catch (PDOException $e) {
            row($e->getCode());
        }
        $db->exec('ROLLBACK TO s');
        row($db->query("SELECT count(*) FROM $table")->fetchColumn());
        $db->rollBack();
        row($db->query("SELECT count(*) FROM $table")->fetchColumn(), $db->inTransaction());
    },
    'cursors' => function () use ($table) {
        $db = connection();
        fill($db, 100);
        $db->beginTransaction();
        $statement = $db->prepare("SELECT n FROM $table ORDER BY n", [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
        $statement->execute();
        row($statement->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_LAST), $statement->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_ABS, 7));
        $db->commit();
    },
    'copies' => function () use ($table, $me) {
        $db = connection();
        fill($db, 0);
        row($db->pgsqlCopyFromArray($table, array_map(fn ($n) => "$n\t$me", range(1, 2000))));
        row(count($db->pgsqlCopyToArray($table)));
    },
    'large values' => function () {
        $db = connection();
        $statement = $db->prepare('SELECT length(?::bytea), md5(?)');
        foreach ([10, 20000, 1 << 20] as $size) {
            $statement->bindValue(1, str_repeat("\0", $size), PDO::PARAM_LOB);
            $statement->bindValue(2, str_repeat('x', $size));
            $statement->execute();
            row($statement->fetch(PDO::FETCH_NUM));
        }
    },
    'connections that are kept' => function () {
        for ($n = 0; $n < 5; $n++) {
            $db = connection([PDO::ATTR_PERSISTENT => true]);
            row($db->query('SELECT 1')->fetchColumn());
            unset($db);
        }
    },
];

foreach ($scenarios as $name => $scenario) {
    echo "== $name\n";
    try {
        $scenario();
    } catch (Throwable $e) { // the comparison judges
        echo get_class($e), ' ', $e->getMessage(), "\n";
    }
}

"""The PHP pages of a test site."""

SCRIPTS = {
    "hello.php": '<?php echo "hello ", posix_getppid(), " ", getmypid(), "\\n";',
    # QUIT cuts a sleep short, so it goes on until the time is over.
    "busy.php": """<?php
$end = microtime(true) + $_GET['ms'] / 1000;
if (isset($_GET['mark'])) {
    $mark = $_SERVER['DOCUMENT_ROOT'] . '/../marks/' . basename($_GET['mark']);
    file_put_contents("$mark.new", getmypid());
    rename("$mark.new", $mark);
}
while (microtime(true) < $end && !(isset($mark) && file_exists("$mark.end"))) {
    usleep(5000);
    clearstatcache();
}
echo "busy ", posix_getppid(), " ", getmypid(), "\\n";""",
    # Holds memory while it is busy.
    "fill.php": """<?php
$held = str_repeat("x", $_GET['mb'] * 1048576);
include __DIR__ . '/busy.php';""",
    "leak.php": '<?php echo "leak ", exec("sleep 60 >/dev/null 2>&1 & echo $!"), "\\n";',
    "env.php": """<?php
foreach (explode(',', $_GET['names']) as $name) {
    $value = getenv($name);
    echo $name, '=', $value === false ? '' : $value, "\\n";
}""",
}


def write(directory):
    for name, text in SCRIPTS.items():
        path = directory / name
        path.write_text(text)
        path.chmod(0o644)

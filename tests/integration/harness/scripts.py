# SPDX-License-Identifier: MIT
"""The PHP pages of a test site."""

SCRIPTS = {
    "hello.php": '<?php echo "hello ", posix_getppid(), " ", getmypid(), "\\n";',
    # QUIT interrupts a wait, so it goes on until the time is over or something comes through the FIFO MARK.end.
    "busy.php": """<?php
$end = microtime(true) + $_GET['ms'] / 1000;
$bell = null;
if (isset($_GET['mark'])) {
    $mark = $_SERVER['DOCUMENT_ROOT'] . '/../marks/' . basename($_GET['mark']);
    $bell = file_exists("$mark.end") ? fopen("$mark.end", 'r+') : null;
    file_put_contents("$mark.new", getmypid());
    rename("$mark.new", $mark);
}
$silent = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
for ($rung = 0; !$rung && ($left = $end - microtime(true)) > 0;) {
    $read = [$bell ?? $silent[0]];
    $write = $except = null;
    $rung = @stream_select($read, $write, $except, (int) $left, (int) (fmod($left, 1) * 1000000));
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

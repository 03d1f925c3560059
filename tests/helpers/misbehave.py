#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A server of the listen-fds convention (sd_listen_fds(3)) that misbehaves as its argument says. @FILE in
place of the arguments reads them from a file, one a line, at each start: so the next start may differ.
Answers each connection with one line of JSON and closes it. Tells on stderr what it does.
"""
import argparse
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time

FIRST_FD = 3


def say(text):
    os.write(2, f"misbehave {os.getpid()}: {text}\n".encode())


def tell(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])


def await_trigger(options):
    """A byte that comes through a FIFO."""
    with open(options.trigger, "rb", buffering=0) as stream:
        say("waits")
        stream.read(1)


def on_stop(action):
    for number in (signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, lambda *_: action())


def leave():
    say("leaves as asked")
    os._exit(0)


def answer_all():
    listener = socket.socket(fileno=FIRST_FD)
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(json.dumps({"pid": os.getpid()}).encode() + b"\n")


def serve(_options=None):
    on_stop(leave)
    tell("READY=1")
    answer_all()


def wait_for_ever():
    while True:
        signal.pause()


def never_ready(_options):
    say("never becomes ready")
    on_stop(leave)
    wait_for_ever()


def late(options):
    await_trigger(options)
    serve()


def slow(options):
    """Takes its time to start; --extend: asks for it."""
    end = time.monotonic() + options.seconds
    while time.monotonic() < end:
        if options.extend:
            tell(f"EXTEND_TIMEOUT_USEC={options.extend}")
        time.sleep(options.every)
    serve()


def stubborn(_options):
    on_stop(lambda: say("does not leave"))
    tell("READY=1")
    answer_all()


def watched(options):
    """Says that it lives, as often as is asked for, until it is triggered: falls silent, or says --last."""
    interval = int(os.environ["WATCHDOG_USEC"]) / 1e6 / 15
    on_stop(leave)
    tell("READY=1")
    trigger = os.open(options.trigger, os.O_RDWR | os.O_NONBLOCK)
    for n in range(1000):
        tell("WATCHDOG=1")
        say(f"lives {n}")
        if select.select([trigger], [], [], interval)[0]:
            break
    if options.last:
        tell(options.last)
    say("falls silent")
    answer_all()


def leave_worker(options):
    """The main process leaves once it is triggered, its workers go on."""
    on_stop(leave)  # before they begin: they may be asked at once
    for _ in range(options.workers):
        if os.fork() == 0:
            answer_all()
    for number in (signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    tell("READY=1")
    await_trigger(options)


def leave_background(options):
    """Twice forked, of a session of its own, another program; and it holds the listener. --workers: so many."""
    deaf = ["env", "--ignore-signal=TERM", "--ignore-signal=QUIT"] if options.deaf else []
    if os.fork() == 0:
        for _ in range(options.workers):
            sleeper = subprocess.Popen([*deaf, "sleep", "300"], pass_fds=[] if options.without_listener else [FIRST_FD],
                                       start_new_session=not options.same_session)
            say(f"background {sleeper.pid}")
        os._exit(0)
    os.wait()
    serve()


def fork_daemon(work):
    """Returns once it stands."""
    ready, tell_ready = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            on_stop(leave)
            say(f"daemon {os.getpid()}")
            os.write(tell_ready, b"x")
            work()
        os._exit(0)
    os.read(ready, 1)


def double_fork(options):
    """The same program, made a daemon: it holds the listener and serves beside whoever comes next."""
    fork_daemon(wait_for_ever)
    os.wait()
    serve(options)


def daemonize(_options):
    """As a server without -F does, which leaves once its daemon stands."""
    fork_daemon(answer_all)
    os._exit(0)


def become(options):
    """Of user --uid, from its first moment on."""
    os.setresgid(options.uid, options.uid, options.uid)
    os.setresuid(options.uid, options.uid, options.uid)
    say(f"of user {os.getuid()}")
    (stubborn if options.deaf else serve)(options)


def worker_of(options):
    """The main process stays as it is, its worker becomes user --uid; it ends when the main one is triggered."""
    ready, tell_ready = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.setresuid(options.uid, options.uid, options.uid)
        on_stop(leave)
        os.write(tell_ready, b"x")
        answer_all()
    os.read(ready, 1)
    say(f"worker {worker}")
    tell("READY=1")
    await_trigger(options)


def exit_at_once(_options):
    sys.exit(0)


def leave_unasked(options):
    """Says so first, once it is triggered, and leaves when it is triggered again."""
    on_stop(lambda: say("is asked to leave"))
    tell("READY=1")
    await_trigger(options)
    tell("STOPPING=1")
    await_trigger(options)


def log_ready(options):
    """Ready by its log alone, a line that it writes in two pieces."""
    say("waits")
    os.write(2, b"now lis")
    with open(options.trigger, "rb", buffering=0) as stream:
        stream.read(1)
    os.write(2, b"tening\n")
    on_stop(leave)
    answer_all()


def log_much(_options):
    """Much to log before it is ready, and a word when it leaves."""
    def last_words():
        os.write(2, b"last words\n")
        os._exit(0)
    on_stop(last_words)
    for number in range(20000):
        os.write(2, b"line %d\n" % number)
    os.write(2, b"now listening\n")
    answer_all()


def log_reopened(_options):
    with open("/proc/self/fd/2", "wb", buffering=0) as log:
        log.write(b"now listening\n")
    on_stop(leave)
    answer_all()


def child_ready(options):
    """A child says that the service is ready, and stays until it is asked to leave."""
    mine, its = socket.socketpair()
    if os.fork() == 0:
        mine.close()
        on_stop(leave)
        tell("READY=1")
        its.sendall(b"x")
        its.recv(1)
        os._exit(0)
    its.close()
    mine.recv(1)
    say("the child has spoken")
    if options.trigger:
        await_trigger(options)
        serve()
    on_stop(leave)
    answer_all()


def hand_over(_options):
    """A child becomes the main process, by MAINPID=, and this one leaves at once."""
    child = os.fork()
    if child == 0:
        on_stop(leave)
        answer_all()
    tell(f"MAINPID={child}\nREADY=1")


def hand_over_and_stay(_options):
    child = os.fork()
    on_stop(leave)
    if child == 0:
        answer_all()
    tell(f"MAINPID={child}\nREADY=1")
    while True:
        signal.pause()


def flood(_options):
    """Says very much while holdfast is stopped, which goes on once this one has ended."""
    holdfast, pidfd = os.getppid(), os.pidfd_open(os.getpid())
    os.kill(holdfast, signal.SIGSTOP)
    if os.fork() == 0:
        select.select([pidfd], [], [])
        os.kill(holdfast, signal.SIGCONT)
        os._exit(0)
    for number in range(450):
        tell(f"READY=1\nSTOPPING=1\nEXTEND_TIMEOUT_USEC={number + 1}000000")


def name_stranger(_options):
    for _ in range(100):
        tell("MAINPID=1\nSTATUS=nothing new")
    serve()


def die_draining(_options):
    on_stop(lambda: os.kill(os.getpid(), signal.SIGKILL))
    tell("READY=1")
    answer_all()


def stranger(options):
    """A child, not the main process, claims to be ready."""
    child = os.fork()
    if child == 0:
        tell("READY=1")
        os._exit(0)
    os.waitpid(child, 0)
    late(options)


def eat(options):
    """All the memory that there is, once triggered, and 256 MiB at most."""
    tell("READY=1")
    await_trigger(options)
    eaten = [os.urandom(1 << 20) for _ in range(256)]
    say(f"ate {len(eaten)} MiB")


BEHAVIOURS = {
    "serve": serve,
    "never-ready": never_ready,
    "late": late,
    "slow": slow,
    "stubborn": stubborn,
    "watched": watched,
    "leave-worker": leave_worker,
    "leave-background": leave_background,
    "double-fork": double_fork,
    "daemonize": daemonize,
    "become": become,
    "worker-of": worker_of,
    "eat": eat,
    "exit-at-once": exit_at_once,
    "leave-unasked": leave_unasked,
    "log-ready": log_ready,
    "log-much": log_much,
    "log-reopened": log_reopened,
    "child-ready": child_ready,
    "hand-over": hand_over,
    "hand-over-and-stay": hand_over_and_stay,
    "flood": flood,
    "name-stranger": name_stranger,
    "die-draining": die_draining,
    "stranger": stranger,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("behaviour", choices=BEHAVIOURS)
    parser.add_argument("--trigger", help="FIFO that is read from")
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--extend", type=int, default=0, help="EXTEND_TIMEOUT_USEC")
    parser.add_argument("--same-session", action="store_true", help="of the process in the background")
    parser.add_argument("--without-listener", action="store_true", help="it does not hold it")
    parser.add_argument("--deaf", action="store_true", help="it ignores TERM and QUIT")
    parser.add_argument("--uid", type=int, help="number of the user to become")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--last", help="what is said before it falls silent")
    parser.add_argument("--every", type=float, default=0.2, help="seconds between two of them")
    options = parser.parse_args()
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        sys.exit("one socket is expected")
    BEHAVIOURS[options.behaviour](options)


if __name__ == "__main__":
    main()

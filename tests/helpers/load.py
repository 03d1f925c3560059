#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Open-loop HTTP load: requests start at a fixed rate whatever the answers do, each on a connection
of its own, and every one of them is accounted for. Prints one JSON object.

    load.py http://127.0.0.1:8080 --rate=250 --slow-share=0.05 --duration=10

Ends after --duration, after --requests, or on SIGTERM or SIGINT; requests under way are awaited.
"""
import argparse
import asyncio
import collections
import errno
import json
import os
import resource
import signal
import sys
import urllib.parse

STOPPING = (signal.SIGTERM, signal.SIGINT)
COLUMNS = ["at", "latency", "slow", "status", "error", "body", "sent", "number"]


class Answer(asyncio.Protocol):
    """One request and its answer, to the end of the connection."""

    def __init__(self, request):
        self.request = request
        self.received = bytearray()
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        transport.write(self.request)

    def data_received(self, data):
        self.received += data

    def connection_lost(self, exc):
        if self.done.done():
            return
        if exc is None:
            self.done.set_result(bytes(self.received))
        else:
            self.done.set_exception(exc)


def parse(answer):
    """(status, error, body) of a whole HTTP answer; a truncated one is an error."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator:
        return 0, "empty answer" if not answer else "truncated head", ""
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) < 2 or not words[1].isdigit():
        return 0, "malformed answer", ""
    status = int(words[1])
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    if fields.get("transfer-encoding") == "chunked":
        if not body.endswith(b"0\r\n\r\n"):
            return status, "truncated body", ""
        body = body.partition(b"\r\n")[2].rpartition(b"\r\n0\r\n\r\n")[0]
    elif "content-length" in fields and int(fields["content-length"]) != len(body):
        return status, "truncated body", ""
    return status, None, body[:80].decode("latin-1").strip()


def describe(error):
    if isinstance(error, asyncio.TimeoutError):
        return "timeout"
    number = getattr(error, "errno", None)
    return errno.errorcode.get(number, str(number)) if number else type(error).__name__


class Load:
    def __init__(self, options):
        url = urllib.parse.urlsplit(options.url)
        self.host, self.port = url.hostname, url.port or 80
        self.options = options
        self.paths = options.path or ["/hello.php"]
        self.ledger = []
        self.late = 0.0
        self.sent = 0
        self.pending = set()
        self.stopped = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        self.start = self.loop.time()

    def encode(self, path):
        post = self.options.method == "POST"
        fields = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\n" if post else ""
        return (f"{self.options.method} {path} HTTP/1.1\r\nHost: {self.host}\r\nConnection: close\r\n{fields}\r\n"
                f"{'a=one' if post else ''}").encode()

    def stop(self):
        self.stopped.set()

    def tick(self):
        """Sends what is due. A late tick sends all that was missed, so the rate holds."""
        now = self.loop.time()
        while not self.stopped.is_set():
            due = self.start + self.sent / self.options.rate
            if self.sent >= self.options.requests or due - self.start >= self.options.duration:
                self.stop()
            elif due > now:
                self.loop.call_at(due, self.tick)
                break
            else:
                self.late = max(self.late, now - due)
                task = self.loop.create_task(self.send(due, self.is_slow(self.sent), self.sent))
                self.pending.add(task)
                task.add_done_callback(self.pending.discard)
                self.sent += 1

    def is_slow(self, index):
        share = self.options.slow_share
        return int((index + 1) * share) > int(index * share)

    def path_of(self, slow, number):
        return self.options.slow_path if slow else self.paths[number % len(self.paths)]

    async def send(self, due, slow, number):
        status, error, body = 0, None, ""
        sent = self.loop.time()
        try:
            received = await asyncio.wait_for(self.exchange(self.path_of(slow, number), number), self.options.timeout)
            status, error, body = parse(received)
        except (OSError, asyncio.TimeoutError) as problem:
            error = describe(problem)
        entry = [due, self.loop.time() - due, slow, status, error, body, sent, number]
        if self.options.follow:
            print(json.dumps(dict(zip(COLUMNS, entry))), flush=True)
        else:
            self.ledger.append(entry)
        if self.options.ready_fd is not None and (slow or not self.options.slow_share):
            os.write(self.options.ready_fd, b"\n")
            os.close(self.options.ready_fd)
            self.options.ready_fd = None

    async def exchange(self, path, number):
        request = self.encode(path.replace("{n}", str(number)))
        transport, answer = await self.loop.create_connection(lambda: Answer(request), self.host, self.port)
        try:
            return await answer.done
        finally:
            transport.abort()

    async def run(self):
        for number in STOPPING:
            self.loop.add_signal_handler(number, self.stop)
        self.tick()
        await self.stopped.wait()
        while self.pending:
            await asyncio.wait(self.pending)
        # the loop's end gives the signals back, and one more must not cut the summary off
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        return self.summary()

    def summary(self):
        failed = [entry for entry in self.ledger if entry[4] or entry[3] != 200]
        quick = sorted(entry[1] for entry in self.ledger if not entry[2])
        kinds = collections.Counter(entry[4] or str(entry[3]) for entry in failed)

        def quantile(share):
            return round(quick[min(len(quick) - 1, int(share * len(quick)))] * 1000, 1) if quick else None

        if self.options.follow:
            return {"requests": self.sent}
        summary = {
            "requests": self.sent,
            "answered": self.sent - len(failed),
            "failed": len(failed),
            "failures": dict(kinds),
            "seconds": round(self.loop.time() - self.start, 3),
            "p50_ms": quantile(0.5),
            "p99_ms": quantile(0.99),
            "p999_ms": quantile(0.999),
            "slowest_ms": quantile(1),
            "late_ms": round(self.late * 1000, 1),
        }
        if self.options.ledger:
            summary["columns"] = COLUMNS
            summary["ledger"] = self.ledger
        return summary


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="http://HOST:PORT")
    parser.add_argument("--rate", type=float, default=250, help="requests a second (%(default)s)")
    parser.add_argument("--method", choices=["GET", "POST"], default="GET", help="%(default)s")
    parser.add_argument("--path", action="append",
                        help="what is asked (/hello.php); {n} is the request's number; with several each in its turn")
    parser.add_argument("--slow-path", default="/busy.php?ms=300", help="what the share asks (%(default)s)")
    parser.add_argument("--slow-share", type=float, default=0.05, help="share of slow requests (%(default)s)")
    parser.add_argument("--duration", type=float, default=400, help="seconds (%(default)s)")
    parser.add_argument("--requests", type=int, default=100000, help="at most so many (%(default)s)")
    parser.add_argument("--timeout", type=float, default=30, help="seconds for one answer (%(default)s)")
    parser.add_argument("--ledger", action="store_true", help="print every request, too")
    parser.add_argument("--follow", action="store_true", help="print every request when it ends, and no figures")
    parser.add_argument("--ready-fd", type=int, help="gets a line when the first slow answer is in")
    return parser.parse_args()


async def main():
    # each request under way has a descriptor
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return await Load(arguments()).run()


if __name__ == "__main__":
    json.dump(asyncio.run(main()), sys.stdout)
    print()

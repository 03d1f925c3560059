#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""HTTP/1.1 behind the listen-fds convention, on all its sockets. A GET is answered by what the file "health" in the
working directory says, if there is one: status and words of the answer, and "hang" is none at all. Every answer names the Host
and the X-Probe that it was asked with. A file "asked" there gets a line for each request."""
import http.server
import os
import pathlib
import socket
import threading

FIRST_FD = 3
HEALTH = pathlib.Path("health")
ASKED = pathlib.Path("asked")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "client"

    def log_message(self, format, *arguments):  # pylint: disable=redefined-builtin
        pass

    def do_GET(self):  # pylint: disable=invalid-name
        status, _, words = (HEALTH.read_text() if HEALTH.exists() else "200 well").strip().partition(" ")
        if ASKED.exists():
            with open(ASKED, "a", encoding="utf-8") as stream:
                print(os.getpid(), self.path, self.headers["Host"], self.headers.get("X-Holdfast"), self.headers["User-Agent"],
                      file=stream)
        if status == "hang":
            threading.Event().wait()
        body = f"{words} {os.getpid()} {self.headers['Host']} {self.headers.get('X-Probe', '')}\n".encode()
        self.send_response(int(status))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, fd):  # pylint: disable=super-init-not-called
        self.socket = socket.socket(fileno=fd)
        http.server.socketserver.BaseServer.__init__(self, self.socket.getsockname(), Handler)

    def get_request(self):
        return self.socket.accept()[0], ("client", 0)


def tell(text):
    path = os.environ["NOTIFY_SOCKET"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(text.encode(), "\0" + path[1:] if path.startswith("@") else path)


def main():
    for index in range(int(os.environ["LISTEN_FDS"])):
        threading.Thread(target=Server(FIRST_FD + index).serve_forever, daemon=True).start()
    tell("READY=1")
    threading.Event().wait()


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: MIT
"""Two pages for any WSGI server (PEP 3333): / says which process answers, /slow takes its time."""
import os
import time


def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.3)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"hello {os.getpid()}\n".encode()]

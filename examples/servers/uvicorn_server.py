# SPDX-License-Identifier: MIT
"""uvicorn behind a held socket: as `uvicorn --fd=3`, with two things mended.

    uvicorn_server.py MODULE:APPLICATION
"""
import asyncio
import socket
import sys

import uvicorn

LISTEN_FD = 3
GRACE = 0.2  # seconds


class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        if not self.should_exit:
            print("ready", flush=True)

    async def shutdown(self, sockets=None):
        # uvicorn would close a connection at once whose request has not arrived yet.
        for server in self.servers:
            server.close()
        await asyncio.sleep(GRACE)
        await super().shutdown(sockets)


# --fd takes it for a unix socket, and so leaves TCP_NODELAY off.
listener = socket.socket(fileno=LISTEN_FD)
sys.path.insert(0, ".")
Server(uvicorn.Config(sys.argv[1])).run(sockets=[listener])

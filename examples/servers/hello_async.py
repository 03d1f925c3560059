# SPDX-License-Identifier: MIT
"""The same for any ASGI server."""
import asyncio
import os


async def application(scope, _receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    if scope["path"] == "/slow":
        await asyncio.sleep(0.3)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": f"hello {os.getpid()}\n".encode()})

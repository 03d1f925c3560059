// SPDX-License-Identifier: MIT
// The same as a server of its own: it listens on descriptor 3, and at TERM it finishes what it has.
"use strict";
const http = require("http");

let leaving = false;

const server = http.createServer((request, response) => {
    const delay = request.url === "/slow" ? 300 : 0;
    setTimeout(() => {
        // Else a client that keeps its connection would keep the process, too.
        if (leaving) response.setHeader("Connection", "close");
        response.end(`hello ${process.pid}\n`);
    }, delay);
});

server.listen({ fd: 3 }, () => console.log("ready"));

process.on("SIGTERM", () => {
    leaving = true;
    server.close();
    server.closeIdleConnections();
});

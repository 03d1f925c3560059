// SPDX-License-Identifier: MIT
// The same for Node.js: it listens on descriptor 3, and on TERM it finishes its requests.
"use strict";
const http = require("http");

let leaving = false;

const server = http.createServer((request, response) => {
    const delay = request.url === "/slow" ? 300 : 0;
    setTimeout(() => {
        // Otherwise a client that keeps its connection open would keep the process alive, too.
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

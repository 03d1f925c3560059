# SPDX-License-Identifier: MIT
"""nginx in front of a site."""
import resource
import signal
import socket
import subprocess

from harness.process import Process, environment

CONFIGURATION = """
daemon off;
user www-data;
worker_processes 1;
worker_rlimit_nofile {files};
pid {directory}/nginx.pid;
error_log {directory}/nginx.log warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_timeout 30s;
    client_body_temp_path {directory}/nginx-body;
    fastcgi_temp_path {directory}/nginx-fastcgi;
    proxy_temp_path {directory}/nginx-proxy;
    scgi_temp_path {directory}/nginx-scgi;
    uwsgi_temp_path {directory}/nginx-uwsgi;
    server {{
        listen {address};
        root {root};
        location / {{
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            fastcgi_pass {backend};
            fastcgi_keep_conn off;
            # Nothing may hide a failure from the client.
            fastcgi_next_upstream off;
            fastcgi_read_timeout 60s;
        }}
    }}
}}
"""


class Nginx:
    """Serves root at url. backend: HOST:PORT or an absolute path."""

    def __init__(self, directory, root, backend):
        self.directory = directory
        # Bound here and handed over as nginx's own binary upgrade does: it is never not listening.
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", 0))
            listener.listen(4096)
            self.port = listener.getsockname()[1]
            self.url = f"http://127.0.0.1:{self.port}"
            path = directory / "nginx.conf"
            files = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
            path.write_text(CONFIGURATION.format(
                directory=directory, root=root, files=files, address=f"127.0.0.1:{self.port}",
                backend=f"unix:{backend}" if backend.startswith("/") else backend))
            with open(directory / "nginx.stderr", "wb") as stderr:
                self.process = Process(
                    ["nginx", "-p", directory, "-c", path], pass_fds=[listener.fileno()],
                    env=environment(NGINX=f"{listener.fileno()};"), stdin=subprocess.DEVNULL, stderr=stderr,
                    start_new_session=True)  # as the daemon has: the kernel schedules by session (sched(7), autogroup)

    def close(self):
        self.process.stop(signal.SIGTERM)

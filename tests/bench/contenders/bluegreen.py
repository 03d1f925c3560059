# SPDX-License-Identifier: MIT
"""Blue and green by hand: a second php-fpm, nginx told of it, and the first one asked to leave."""
import signal
import subprocess

import notifications
from contenders.contender import Contender
from harness import net, process
from harness.lines import Lines
from harness.paths import PHP_FPM
from harness.phpfpm import configuration
from harness.process import Process, environment
from harness.wait import Ended


class BlueGreen(Contender):
    name = "blue/green by hand"
    note = ("two php-fpm on sockets of their own, nginx -s reload once the next one is ready, and QUIT to the other "
            "when nginx's old worker has gone, process_control_timeout = 30s")

    def start(self):
        self.addresses = [self.site.address, f"127.0.0.1:{net.free_port()}"]
        self.current = 0
        self.process = self.launch()

    def launch(self):
        pool, = self.site.pools
        pool.listen = self.addresses[self.current]
        path = self.site.directory / f"{self.current}.conf"
        path.write_text(configuration(self.site.pools, process_control_timeout="30s",
                                      error_log=self.site.error_log))
        started = Process([PHP_FPM, "-F", "-y", path], env=environment(NOTIFY_SOCKET=str(self.site.notify.path)),
                          stderr=subprocess.PIPE)
        self.site.at_close(lambda: started.running() and started.stop(signal.SIGKILL))
        Lines(started.popen.stderr)
        self.site.notify.wait("READY=1", started.ended)
        return started

    def replace(self):
        notifications.discard(self.site)
        old, before = self.process, self.addresses[self.current]
        self.current = 1 - self.current
        self.process = self.launch()
        nginx = self.site.nginx.process
        path = self.site.directory / "nginx.conf"
        path.write_text(path.read_text().replace(f"fastcgi_pass {before};", f"fastcgi_pass {self.addresses[self.current]};"))
        workers = [Ended(pid) for pid in process.children(nginx.pid)]
        nginx.send(signal.SIGHUP)
        for worker in workers:
            with worker:
                worker.wait()
        old.stop(signal.SIGQUIT)

    def stop(self):
        self.process.stop(signal.SIGQUIT)

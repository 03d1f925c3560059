# SPDX-License-Identifier: MIT
"""A headless Chromium, driven over its DevTools pipe."""
import json
import os
import shutil
import subprocess
import time

import pytest

from harness.process import PATH, Process, environment
from harness.wait import DEADLINE, Timeout, readable

PROGRAM = "chromium-headless-shell"
OPTIONS = ["--remote-debugging-pipe", "--no-sandbox", "--no-zygote", "--disable-gpu", "--disable-dev-shm-usage",
           "--disable-background-networking", "--disable-crash-reporter", "--no-proxy-server"]

# Resolves when `holds` does. Looks whenever the page changes.
WAIT = """new Promise(done => {
  const look = () => { if (holds()) { watch.disconnect(); done(true); } };
  const holds = () => (HOLDS);
  const watch = new MutationObserver(look);
  watch.observe(document, {subtree: true, childList: true, characterData: true, attributes: true});
  look();
})"""


def require():
    """Only a CI machine must have it."""
    if not shutil.which(PROGRAM, path=PATH):
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{PROGRAM} is not installed")


class Browser:
    """One page. requests: the addresses it asked for; errors: the exceptions of its scripts."""

    def __init__(self, directory):
        self.requests, self.errors = [], []
        self._answers, self._begun, self._rest = {}, 0, b""
        # it reads commands from descriptor 3 and writes answers to 4
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        command = ["bash", "-c", 'exec "${@:3}" 3<&"$1" 4>&"$2"', "bash", theirs_in, theirs_out, PROGRAM, *OPTIONS,
                   f"--user-data-dir={directory}"]
        self._log = directory / "browser.log"
        with open(self._log, "wb") as log:
            self._process = Process(command, env=environment(HOME=str(directory)), stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log, pass_fds=[theirs_in, theirs_out])
        os.close(theirs_in)
        os.close(theirs_out)
        self._session = None
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self._call(f"{domain}.enable")

    def _call(self, method, **parameters):
        self._begun += 1
        message = {"id": self._begun, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + DEADLINE
        while self._begun not in self._answers:
            self._read(method, end - time.monotonic())
        answer = self._answers.pop(self._begun)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def _read(self, what, left):
        readable([self._in], what, max(0, left))
        data = os.read(self._in, 1 << 16)
        if not data:
            raise Timeout(f"{what}: {PROGRAM} has ended\n{self._log.read_text(errors='replace')}")
        *messages, self._rest = (self._rest + data).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self._answers[message["id"]] = message
            elif message["method"] == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            elif message["method"] == "Runtime.exceptionThrown":
                self.errors.append(message["params"]["exceptionDetails"])

    def open(self, url):
        failed = self._call("Page.navigate", url=url).get("errorText")
        assert not failed, f"{url}: {failed}"

    def evaluate(self, expression):
        result = self._call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, holds):
        """Until the expression is true in the page."""
        self.evaluate(WAIT.replace("HOLDS", holds))

    def click(self, element):
        """With the mouse, in the middle of the element."""
        x, y = self.evaluate(f"(box => [box.x + box.width / 2, box.y + box.height / 2])"
                             f"(document.getElementById({json.dumps(element)}).getBoundingClientRect())")
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def close(self):
        os.close(self._out)  # it ends at the end of its commands
        self._process.wait()
        os.close(self._in)

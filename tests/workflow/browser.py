"""A headless Chromium, spoken to through its own pipe: no further package is needed."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT = 60


def find():
    """Return where Chromium is, or None."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Tab:
    """One tab: open a file, ask it, press keys, take its picture."""

    def __init__(self, read, write):
        self.read, self.write, self.rest, self.numbers = read, write, b"", itertools.count(1)
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")
        self.call("Log.enable")

    def message(self):
        while b"\0" not in self.rest:
            part = os.read(self.read, 1 << 20)
            if not part:
                raise RuntimeError("Chromium ended.")
            self.rest += part
        one, _, self.rest = self.rest.partition(b"\0")
        return json.loads(one)

    def call(self, method, **params):
        number = next(self.numbers)
        said = {"id": number, "method": method, "params": params}
        if self.session:
            said["sessionId"] = self.session
        os.write(self.write, json.dumps(said).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def open(self, path, *, width=1200, height=900, dark=False):
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **screen)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        number = next(self.numbers)
        said = {"id": number, "method": "Page.navigate", "params": {"url": Path(path).resolve().as_uri()}}
        os.write(self.write, json.dumps({**said, "sessionId": self.session}).encode() + b"\0")
        while self.message().get("method") != "Page.loadEventFired":
            pass

    def ask(self, expression):
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"])
        return found["result"].get("value")

    def press(self, key, code):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def picture(self, path, *, whole=False):
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        Path(path).write_bytes(base64.b64decode(found["data"]))


@contextmanager
def tab(binary):
    """Start Chromium, yield a tab, end it."""
    theirs, write = os.pipe()
    read, answers = os.pipe()
    # Chromium reads from descriptor 3 and answers on 4; the shell puts them there.
    command = f'exec "$0" "$@" 3<&{theirs} 4>&{answers}'
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        flags += ["--hide-scrollbars", "--remote-debugging-pipe", f"--user-data-dir={profile}"]
        call = ["/bin/bash", "-c", command, binary, *flags]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(call, pass_fds=(theirs, answers), **quiet)
        os.close(theirs)
        os.close(answers)
        try:
            yield Tab(read, write)
        finally:
            process.terminate()
            process.wait(TIMEOUT)
            os.close(read)
            os.close(write)

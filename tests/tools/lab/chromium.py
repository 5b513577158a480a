"""Chromium without a window, spoken to through two pipes in its DevTools protocol: nothing but the
browser itself is needed."""

import base64
import itertools
import json
import os
import select
import subprocess
import time

ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-extensions", "--disable-background-networking", "--hide-scrollbars",
             "--no-proxy-server", "--remote-debugging-pipe")


class Chromium:
    """A browser with one tab. What pages complain about is in `complaints`."""

    def __init__(self, directory, timeout=60):
        self.timeout = timeout
        self.complaints, self._answers, self._rest = [], {}, b""
        self._numbers = itertools.count(1)
        self._session = None
        self.events = []
        self._process, self._to, self._from = self._start(directory)
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._send(f"{domain}.enable")

    @staticmethod
    def _start(directory):
        """The browser reads commands from its descriptor 3 and answers on 4."""
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()

        def place():
            high = [os.dup(theirs_in), os.dup(theirs_out)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)
        process = subprocess.Popen(["chromium", *ARGUMENTS, f"--user-data-dir={directory}"],
                                   preexec_fn=place, close_fds=False, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   start_new_session=True)
        os.close(theirs_in)
        os.close(theirs_out)
        return process, ours_out, ours_in

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        os.close(self._to)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._from)

    def _receive(self, deadline):
        while b"\0" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._from], [], [], left)[0]:
                raise TimeoutError("the browser does not answer")
            piece = os.read(self._from, 1 << 20)
            if not piece:
                raise EOFError("the browser has gone")
            self._rest += piece
        text, self._rest = self._rest.split(b"\0", 1)
        message = json.loads(text)
        if "id" in message:
            self._answers[message["id"]] = message
        else:
            self._note(message)

    def _note(self, event):
        method, parameters = event["method"], event.get("params", {})
        self.events.append(method)
        if method == "Runtime.exceptionThrown":
            self.complaints.append(parameters["exceptionDetails"].get("text", "exception"))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.complaints.append(parameters["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.complaints.append(str(parameters["args"]))

    def _send(self, method, **parameters):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + self.timeout
        while number not in self._answers:
            self._receive(deadline)
        answer = self._answers.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def look(self, width=1280, height=900, scheme="light", motion="no-preference", script=True):
        """How the reader looks at pages from now on."""
        self._send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                   mobile=width < 600)
        self._send("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": motion}])
        self._send("Emulation.setScriptExecutionDisabled", value=not script)

    def go(self, url):
        self.events.clear()
        self._send("Page.navigate", url=url)
        deadline = time.monotonic() + self.timeout
        while "Page.loadEventFired" not in self.events:
            self._receive(deadline)

    def run(self, expression):
        """The value of an expression in the page; of a promise what it comes to."""
        result = self._send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"]["exception"].get("description", "exception"))
        return result["result"].get("value")

    def _run_or_none(self, expression):
        """None while one page gives way to another."""
        try:
            return self.run(expression)
        except RuntimeError as error:
            if "navigated" not in str(error):
                raise
            return None

    def until(self, expression, seconds=30):
        deadline = time.monotonic() + seconds
        while not (value := self._run_or_none(expression)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"never true: {expression}")
            time.sleep(0.05)
        return value

    def type(self, text):
        """Into what has the focus."""
        self._send("Input.insertText", text=text)

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self._send("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                       windowsVirtualKeyCode={"Tab": 9, "Enter": 13}.get(key, 0),
                       **({"text": "\r"} if key == "Enter" and kind == "keyDown" else {}))

    def picture(self, path, whole=True):
        size = self._send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1},
                "captureBeyondViewport": True} if whole else {}
        path.write_bytes(base64.b64decode(self._send("Page.captureScreenshot", format="png", **clip)["data"]))

"""Chromium without a screen, for pages of our own: what it asked for, what it complained of, what it shows.

A module of the tests of pages; everything that a browser writes lands in the directory that it is given.
"""

import json
import os
import shutil
import time

PATIENCE_S = 120  # of one condition: a browser on a busy machine takes its time


def missing():
    """What is not installed, or None."""
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            return program
    try:
        import selenium  # pylint: disable=import-outside-toplevel,unused-import
    except ImportError:
        return "python3-selenium"
    return None


class Browser:
    """One window. `home` is a directory of its own."""

    def __init__(self, home):
        from selenium import webdriver  # pylint: disable=import-outside-toplevel
        from selenium.webdriver.chrome.options import Options  # pylint: disable=import-outside-toplevel
        from selenium.webdriver.chrome.service import Service  # pylint: disable=import-outside-toplevel

        options = Options()
        options.binary_location = shutil.which("chromium")
        # --no-sandbox: the tests run as root; the page that is opened is ours.
        for argument in (
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
            "--disable-background-networking", "--disable-component-update", "--no-first-run", "--no-default-browser-check",
            f"--user-data-dir={home}/profile",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        environment = dict(os.environ, HOME=home, XDG_CONFIG_HOME=home, XDG_CACHE_HOME=home, TMPDIR=home)
        service = Service(shutil.which("chromedriver"), env=environment, log_path=f"{home}/chromedriver.log")
        self.driver = webdriver.Chrome(service=service, options=options)
        self.driver.set_page_load_timeout(PATIENCE_S)
        self.asked = []  # addresses
        self.complaints = []

    def close(self):
        self.driver.quit()

    def open(self, address):
        """A page; what was asked for and complained of before, also by the browser's own first page, is forgotten."""
        self.driver.get("about:blank")
        self.gather()
        self.asked.clear()
        self.complaints.clear()
        self.driver.get(address)

    def look(self, width, height, dark=False):
        """The size of the window, and which colours its owner prefers."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]},
        )

    def evaluate(self, expression):
        return self.driver.execute_script(f"return ({expression});")

    def click(self, element_id):
        self.driver.execute_script(f"document.getElementById('{element_id}').click();")

    def until(self, expression, what):
        """Waits until that is true of the page, and returns it."""
        end = time.monotonic() + PATIENCE_S
        while True:
            value = self.evaluate(expression)
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"{what}: not within {PATIENCE_S} s; the page says: "
                                     + str(self.evaluate("document.body.innerText"))[:2000])
            time.sleep(0.1)

    def gather(self):
        """What was asked for and complained of since the last time, into `asked` and `complaints`."""
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.asked.append(message["params"]["request"]["url"])
        for entry in self.driver.get_log("browser"):
            self.complaints.append(entry["message"])

    def save(self, path):
        self.driver.save_screenshot(path)

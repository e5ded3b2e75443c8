"""An InfluxDB 1.x with directories and ports of its own, on this machine's loopback alone."""

import base64
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request

PROGRAM = shutil.which("influxd")

_CONFIGURATION = """\
reporting-enabled = false
bind-address = "127.0.0.1:{backup}"
[meta]
dir = "{directory}/meta"
[data]
dir = "{directory}/data"
wal-dir = "{directory}/wal"
query-log-enabled = false
[monitor]
store-enabled = false
[subscriber]
enabled = false
[continuous_queries]
enabled = false
[http]
bind-address = "127.0.0.1:{http}"
log-enabled = false
auth-enabled = {auth}
[[udp]]
enabled = true
bind-address = "127.0.0.1:{udp}"
database = "udp"
batch-timeout = "50ms"
"""


def free_port(kind=socket.SOCK_STREAM):
    """A port that nobody has at this moment."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Influx:
    """Runs until close()."""

    def __init__(self, directory, auth=False):
        self.http = free_port()
        self.udp = free_port(socket.SOCK_DGRAM)
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, "influxdb.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(_CONFIGURATION.format(directory=directory, http=self.http, udp=self.udp, backup=free_port(),
                                             auth=str(auth).lower()))
        self._log = open(os.path.join(directory, "log"), "wb")  # pylint: disable=consider-using-with
        self._process = subprocess.Popen(  # pylint: disable=consider-using-with
            [PROGRAM, "-config", path], stdout=self._log, stderr=self._log)

    def wait(self, seconds=60):
        """Until it answers."""
        for _ in range(seconds * 20):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/ping", timeout=5):
                    return
            except OSError:
                time.sleep(0.05)
        raise TimeoutError("InfluxDB does not answer")

    def query(self, text, database="", user=None):
        """The rows of the first series of the answer, each a dictionary; [] where there is none."""
        parameters = {"q": text, "db": database, "epoch": "ns"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}/query", urllib.parse.urlencode(parameters).encode())
        if user:
            request.add_header("Authorization", "Basic " + base64.b64encode(":".join(user).encode()).decode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            result = json.load(answer)["results"][0]
        if "error" in result:
            raise ValueError(result["error"])
        if "series" not in result:
            return []
        series = result["series"][0]
        return [dict(zip(series["columns"], row)) for row in series["values"]]

    def close(self):
        """Ends it."""
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

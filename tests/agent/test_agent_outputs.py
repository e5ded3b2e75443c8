#!/usr/bin/python3
"""The agent's outputs: what arrives, and what happens to it when the sink is gone, full, slow, hung or says no."""

import base64
import csv
import http.server
import json
import os
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

import influx
import machine

AGENT = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else None
LIMIT = 60  # seconds, for what comes as soon as this machine has time for it
PACKAGE = "SELECT current_power_consumption_watts FROM powerstat_package"
HEADER = ("time,time_ns,host,kind,name,detail,pid,zone,energy_joules,power_watts,cpu_seconds,processes,up,age_seconds,"
          "estimate,view,source")
DRAM = "SELECT current_dram_power_consumption_watts FROM powerstat_package"


class Server(http.server.ThreadingHTTPServer):
    """A server that takes lines as InfluxDB does, or answers with `status`; None: it does not answer at all."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port=0, status=204, context=None):
        super().__init__(("127.0.0.1", port), _Handler)
        self.connections = 0  # also those over which nothing came
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.status = status
        self.lines = []  # what was taken
        self.requests = []  # (status, path, Authorization)
        self.release = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def get_request(self):
        """Accepts a connection; over TLS that is its handshake as well, which may fail."""
        self.connections += 1
        return super().get_request()

    def close(self):
        """Ends it."""
        self.release.set()
        self.shutdown()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):  # pylint: disable=invalid-name
        """Takes a batch."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        status = self.server.status
        self.server.requests.append((status, self.path, self.headers["Authorization"]))
        if status is None:
            self.server.release.wait(LIMIT)
            self.close_connection = True
            return
        if status == 204:
            self.server.lines += body.splitlines()
        answer = b"" if status == 204 else b'{"error":"no reason"}\nmore'
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        """Is silent."""


class Authority:
    """An authority of the test's own, and the certificates that it makes."""

    CONFIG = """[ca]
default_ca = own
[own]
database = {directory}/index
new_certs_dir = {directory}
rand_serial = yes
default_md = sha256
policy = any
certificate = {directory}/ca.pem
private_key = {directory}/ca.key
[any]
commonName = supplied
"""

    def __init__(self, directory):
        self.directory = directory
        os.mkdir(directory)
        os.chmod(directory, 0o755)
        self.file = f"{directory}/ca.pem"
        self.run("req", "-x509", *self.key("ca"), "-days", "2", "-subj", "/CN=authority", "-out", self.file)
        os.chmod(self.file, 0o644)
        with open(f"{directory}/index", "w", encoding="ascii"):
            pass
        with open(f"{directory}/ca.conf", "w", encoding="ascii") as file:
            file.write(self.CONFIG.format(directory=directory))

    @staticmethod
    def run(*arguments):
        """openssl(1)."""
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    def key(self, name):
        """The options that make a new key of that name."""
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{self.directory}/{name}.key")

    def make(self, name, names="IP:127.0.0.1", years=(2020, 2090)):
        """A certificate for these names and years: what SSLContext.load_cert_chain() takes."""
        path = f"{self.directory}/{name}"
        with open(f"{path}.ext", "w", encoding="ascii") as file:
            file.write(f"subjectAltName={names}\n")
        self.run("req", *self.key(name), "-subj", f"/CN={name}", "-out", f"{path}.csr")
        self.run("ca", "-batch", "-config", f"{self.directory}/ca.conf", "-in", f"{path}.csr", "-out", f"{path}.pem", "-extfile",
                 f"{path}.ext", "-startdate", f"{years[0]}0101000000Z", "-enddate", f"{years[1]}0101000000Z")
        return path + ".pem", path + ".key"


class OutputsTest(unittest.TestCase):
    """One service each."""

    def setUp(self):
        self.machine = machine.Machine(AGENT)
        self.addCleanup(self.machine.close)
        self.service = None
        self.port = None
        self.collector = None
        self.messages = []
        self.out = os.path.join(self.machine.directory, "out")
        os.mkdir(self.out)
        os.chmod(self.out, 0o777)
        self.machine.add_share()
        self.set_energy(5000000, 700000)

    def set_energy(self, package_uj, dram_uj):
        """Both counters of the tree."""
        self.machine.set_energy(package_uj)
        zone = self.machine.share + "/devices/virtual/powercap/intel-rapl/intel-rapl:0/intel-rapl:0:0"
        for name, text in (("name", "dram"), ("max_energy_range_uj", machine.RANGE), ("energy_uj", dram_uj)):
            machine.write(f"{zone}/{name}", f"{text}\n")
        link = self.machine.share + "/class/powercap/intel-rapl:0:0"
        if not os.path.islink(link):
            os.symlink("../../devices/virtual/powercap/intel-rapl/intel-rapl:0/intel-rapl:0:0", link)

    def start(self, *options, stdout=subprocess.DEVNULL):
        """Starts it and waits until it listens; its messages are collected."""
        command = [AGENT, "--sysroot", self.machine.root, "--at", self.machine.at, "--config", "/dev/null",
                   "--http.listen=127.0.0.1:0", "--output.period=100ms", "--output.timeout=300ms", "--output.host=web 1", "--accounts.top=0",
                   "--accounts.period=100ms", *options]
        self.service = subprocess.Popen(  # pylint: disable=consider-using-with
            command, stderr=subprocess.PIPE, stdout=stdout, text=True)
        self.addCleanup(self.stop)
        self.collector = threading.Thread(target=self._collect, args=(self.service,), daemon=True)
        self.collector.start()
        self.port = int(self.wait_message(r"listening on port (\d+)").group(1))

    def _collect(self, service):
        for line in service.stderr:
            self.messages.append(line)

    def stop(self):
        """Ends it as a service manager does; it must end well, and soon, whatever its sinks do."""
        if self.service.returncode is None:
            self.service.send_signal(signal.SIGTERM)
            self.assertEqual(self.service.wait(LIMIT), 0)
            self.collector.join(LIMIT)
            self.service.stderr.close()
        return "".join(self.messages)

    def wait(self, what, description):
        """Until what() is true; returns it."""
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            found = what()
            if found:
                return found
            time.sleep(0.02)
        self.fail(f"never: {description}\n{''.join(self.messages)}")

    def wait_message(self, pattern):
        """Until it has said so."""
        return self.wait(lambda: re.search(pattern, "".join(self.messages)), pattern)

    def metrics(self):
        """All samples by name and labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=LIMIT) as answer:
            lines = (line for line in answer.read().decode().splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def metric(self, name, spec):
        """One of wattport_output_*; None: absent."""
        return self.metrics().get(f'wattport_output_{name}{{output="{spec}"}}')

    def wait_up(self, spec, up=1):
        """Until the output says that it works, or does not."""
        self.wait(lambda: self.metric("up", spec) == up, f"{spec} up {up}")

    def rows(self, name):
        """The rows of a CSV file, each a dictionary; all of them must be whole."""
        with open(os.path.join(self.out, name), encoding="utf-8", newline="") as file:
            lines = file.read().splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            lines.pop()  # is being written
        rows = list(csv.DictReader(lines))
        for row in rows:
            self.assertEqual(len(row), 17, row)
            self.assertNotIn(None, row.values(), row)
            self.assertEqual(row["host"], "web 1")
        return rows

    # What arrives.

    @unittest.skipIf(influx.PROGRAM is None, "influxd is not installed")
    def test_influxdb_takes_the_lines_and_answers(self):
        server = influx.Influx(os.path.join(self.machine.directory, "influx"))
        self.addCleanup(server.close)
        server.wait()
        server.query("CREATE DATABASE telegraf")
        server.query("CREATE DATABASE udp")
        log = os.path.join(self.out, "rows")
        self.start(f"--output=influx:http://127.0.0.1:{server.http}/telegraf", f"--output=influx:udp://127.0.0.1:{server.udp}",
                   f"--output=json:{log}", "--output.timeout=1min")
        energy = [5000000, 700000]

        def moved():
            energy[0] += 40000
            energy[1] += 10000
            self.set_energy(*energy)
            return all(len(server.query(query, database)) > 3 for query in (PACKAGE, DRAM) for database in ("telegraf", "udp"))

        self.wait(moved, "answers of InfluxDB")
        # The counters rest now: what /metrics shows is what InfluxDB has.
        shown = self.metrics()
        for database in ("telegraf", "udp"):
            for zone in ("package-0", "dram-0"):
                expected = shown[f'wattport_guest_energy_joules_total{{zone="{zone}"}}']
                self.wait(lambda d=database, z=zone, e=expected: server.query(
                    f"SELECT last(energy_joules) AS energy FROM wattport_zone WHERE zone='{z}' AND host='web 1'",
                    d)[0]["energy"] == e, f"{zone} in {database} is {expected}")
        self.assertEqual(self.stop().count("warning"), 0, self.messages)
        # Every power of every tick is the same in the two databases and in the file, to the last digit.
        with open(log, encoding="utf-8") as file:
            told = {(row["time_ns"], row["name"]): row["power_watts"] for row in map(json.loads, file) if "power_watts" in row}
        for query, zone, field in ((PACKAGE, "package-0", "current_power_consumption_watts"),
                                   (DRAM, "dram-0", "current_dram_power_consumption_watts")):
            expected = {time_ns: power for (time_ns, name), power in told.items() if name == zone}
            self.assertGreater(max(expected.values()), 0)
            for database in ("telegraf", "udp"):
                got = {row["time"]: row[field] for row in server.query(query, database)}
                self.assertEqual(got, {time_ns: expected[time_ns] for time_ns in got})
                self.assertGreater(len(got), 3)
        # Over HTTP, where delivery is known, nothing is missing.
        self.assertEqual(len(server.query(PACKAGE, "telegraf")), len(expected))

    @unittest.skipIf(influx.PROGRAM is None, "influxd is not installed")
    def test_influxdb_that_wants_a_password(self):
        server = influx.Influx(os.path.join(self.machine.directory, "influx"), auth=True)
        self.addCleanup(server.close)
        server.wait()
        user = ("root", "s3cret")
        server.query("CREATE USER root WITH PASSWORD 's3cret' WITH ALL PRIVILEGES")
        path = os.path.join(self.machine.directory, "credentials")
        machine.write(path, f"127.0.0.1:{server.http} basic {user[0]} {user[1]}\n")
        os.chmod(path, 0o600)
        spec = f"influx:http://127.0.0.1:{server.http}/telegraf"
        # Passwords are slow there on purpose.
        self.start(f"--output={spec}", f"--output.credentials={path}", "--output.timeout=1min")
        # No such database yet: said, kept, and delivered as soon as there is.
        self.wait_message(r"no such database or path \(404\).*CREATE DATABASE \"telegraf\"")
        server.query("CREATE DATABASE telegraf", user=user)
        self.wait_up(spec)
        self.wait(lambda: server.query("SELECT * FROM wattport_zone", "telegraf", user), "rows")
        self.assertEqual(self.metric("dropped_total", spec), 0)
        self.assertNotIn("s3cret", self.stop())

    # Servers.

    def test_a_server_that_is_away_comes_back(self):
        port = influx.free_port()
        spec = f"influx:http://127.0.0.1:{port}/telegraf"
        # Who takes a batch and answers too late is given it again, and InfluxDB takes that for the same.
        self.start(f"--output={spec}", "--output.timeout=60s")
        self.wait_up(spec, 0)
        self.wait(lambda: self.metric("queued", spec) > 9, "rows wait")
        server = Server(port)
        self.addCleanup(server.close)
        self.wait_up(spec)
        self.wait(lambda: self.metric("queued", spec) < 4, "nothing waits")
        messages = self.stop()
        # Once each, however often it was tried; nothing is lost, nothing comes twice.
        self.assertEqual(messages.count("Couldn't connect"), 1, messages)
        self.assertEqual(messages.count("works again; 0 rows were dropped"), 1, messages)
        self.assertNotIn("not delivered", messages)
        self.assertEqual(len(server.lines), len(set(server.lines)))
        self.assertEqual(server.requests[0][1], "/write?db=telegraf&precision=ns")
        machines = [line for line in server.lines if line.startswith("wattport_machine,host=web\\ 1 ")]
        self.assertGreater(len(machines), 2)

    def test_a_bounded_buffer_drops_the_oldest(self):
        port = influx.free_port()
        spec = f"influx:http://127.0.0.1:{port}/telegraf"
        self.start(f"--output={spec}", "--output.buffer=4")
        self.wait(lambda: self.metric("dropped_total", spec) > 0, "rows are dropped")
        self.assertLess(self.metric("queued", spec), 4096 / 100 + 20)
        server = Server(port)
        self.addCleanup(server.close)
        self.wait_message(r"works again; [1-9]\d* rows were dropped meanwhile")
        # The first batch was under way all the time and is there; then there is a gap, and the youngest.
        self.assertIn("keeping up to 4 KiB until it is back", "".join(self.messages))

    def test_answers_of_a_server(self):
        server = Server(status=400)
        self.addCleanup(server.close)
        path = os.path.join(self.machine.directory, "credentials")
        machine.write(path, f"127.0.0.1:{server.server_port} token t0ken\n")
        spec = f"influx:http://127.0.0.1:{server.server_port}/telegraf"
        self.start(f"--output={spec}", f"--output.credentials={path}")
        self.assertIn("credentials holds secrets and may be read by others", "".join(self.messages))
        # A batch that is refused is dropped and never sent again; what follows goes its way.
        self.wait_message(r'refuses what it was sent \(400\): \{"error":"no reason"\}; \d+ rows are dropped')
        self.wait(lambda: self.metric("dropped_total", spec) > 8, "more rows are refused")
        server.status = 204
        self.wait_message(r"works again; \d+ rows were dropped")
        # What a server may yet mend is kept.
        for status, said in ((401, "restart the agent"), (503, "the server answers 503")):
            before = self.metric("dropped_total", spec)
            server.status = status
            self.wait_message(re.escape(said))
            self.wait_up(spec, 0)
            server.status = 204
            self.wait_up(spec)
            self.assertEqual(self.metric("dropped_total", spec), before)
        self.assertEqual({authorization for _, _, authorization in server.requests}, {"Token t0ken"})
        messages = self.stop()
        self.assertEqual(messages.count("refuses what it was sent"), 1, messages)
        self.assertNotIn("t0ken", messages)

    def test_a_server_that_hangs_holds_nothing_up(self):
        server = Server(status=None)
        self.addCleanup(server.close)
        spec = f"influx:http://127.0.0.1:{server.server_port}/telegraf"
        self.start(f"--output={spec}", f"--output=csv:{self.out}/beside.csv")
        self.wait_message(r"(?i)time.*out")
        rows = len(self.rows("beside.csv"))
        # The other output and the metrics go on.
        self.wait(lambda: len(self.rows("beside.csv")) > rows + 4, "rows beside it")
        self.wait_up(spec, 0)
        server.status = 204
        self.wait_up(spec)

    def test_it_ends_while_a_server_hangs(self):
        servers = [Server(status=None) for _ in range(3)]
        for server in servers:
            self.addCleanup(server.close)
        self.start(*(f"--output=influx:http://127.0.0.1:{server.server_port}/telegraf" for server in servers),
                   "--output.timeout=5min")
        for server in servers:
            self.wait(lambda s=server: s.requests, "a request that hangs")
        self.assertEqual(len(re.findall(r"\d+ rows were not delivered", self.stop())), 3)

    def test_basic_credentials_and_udp_without_a_listener(self):
        server = Server()
        self.addCleanup(server.close)
        path = os.path.join(self.machine.directory, "credentials")
        machine.write(path, f"127.0.0.1:{server.server_port} basic alice secret\nelsewhere token t0ken\n")
        port = influx.free_port(socket.SOCK_DGRAM)
        spec = f"json:udp://127.0.0.1:{port}"
        self.start(f"--output=influx:http://127.0.0.1:{server.server_port}/a/telegraf", f"--output.credentials={path}",
                   f"--output={spec}")
        self.wait_message("nobody listens there")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
            listener.bind(("127.0.0.1", port))
            listener.settimeout(LIMIT)
            packet = listener.recv(65536).decode()
            self.wait_up(spec)
        self.assertLessEqual(len(packet), 1400)
        for line in packet.splitlines():
            self.assertEqual(json.loads(line)["host"], "web 1")
        self.wait(lambda: server.requests, "a request")
        expected = "Basic " + base64.b64encode(b"alice:secret").decode()
        self.assertEqual(server.requests[0][1:], ("/a/write?db=telegraf&precision=ns", expected))

    # TLS.

    def tls_server(self, *certificate):
        """A server with that certificate, and its context, in which that can be replaced."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server = Server(context=context)
        self.addCleanup(server.close)
        return server, context, f"influx:https://127.0.0.1:{server.server_port}/telegraf"

    def start_tls(self, authority, specs, *options):
        """Starts it with that authority, and credentials for each server."""
        path = os.path.join(self.machine.directory, "credentials")
        machine.write(path, "".join(f"{spec.split('/')[2]} token t0ken\n" for spec in specs))
        os.chmod(path, 0o600)
        self.start(*(f"--output={spec}" for spec in specs), f"--output.credentials={path}",
                   f"--output.ca-file={authority.file}", "--output.timeout=60s", *options)

    @unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
    def test_only_a_server_that_proves_itself_gets_anything(self):
        ours = Authority(os.path.join(self.machine.directory, "ours"))
        theirs = Authority(os.path.join(self.machine.directory, "theirs"))
        good = ours.make("good")
        right, _, right_spec = self.tls_server(*good)
        wrong = {"unknown": self.tls_server(*theirs.make("unknown")),
                 "elsewhere": self.tls_server(*ours.make("elsewhere", names="DNS:elsewhere.example,IP:127.0.0.2")),
                 "expired": self.tls_server(*ours.make("expired", years=(2020, 2021)))}
        self.start_tls(ours, [right_spec, *(spec for _, _, spec in wrong.values())])
        self.wait_up(right_spec)
        for name, (server, _, spec) in wrong.items():
            self.wait_message(re.escape(f"{spec}: ") + r".*(verif|match).*nothing was sent: .*output\.ca-file")
            self.wait(lambda s=server: s.connections > 1, f"{name} is tried again")
            self.assertEqual((self.metric("up", spec), self.metric("dropped_total", spec)), (0, 0))
            # Neither rows nor who we are.
            self.assertEqual(server.requests, [], name)
        self.wait(lambda: right.lines, "rows")
        self.assertEqual({authorization for _, _, authorization in right.requests}, {"Token t0ken"})
        # What could not be delivered was kept: from the first row on it comes as soon as the server is the right one.
        for server, context, spec in wrong.values():
            context.load_cert_chain(*good)
            self.wait_up(spec)
            self.wait(lambda s=server: right.lines[0] in s.lines, "the first row")
        messages = self.stop()
        self.assertEqual(messages.count("works again; 0 rows were dropped"), 3, messages)
        self.assertNotIn("not delivered", messages)
        self.assertNotIn("t0ken", messages)

    @unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
    def test_what_a_server_that_proves_nothing_has_no_room_for(self):
        ours = Authority(os.path.join(self.machine.directory, "ours"))
        theirs = Authority(os.path.join(self.machine.directory, "theirs"))
        server, context, spec = self.tls_server(*theirs.make("unknown"))
        self.start_tls(ours, [spec], "--output.buffer=4")
        self.wait(lambda: self.metric("dropped_total", spec) > 0, "rows are dropped")
        self.assertEqual(server.requests, [])
        context.load_cert_chain(*ours.make("good"))
        self.wait_message(r"works again; [1-9]\d* rows were dropped meanwhile")

    # Files and pipes.

    def test_a_file_is_rotated(self):
        path = os.path.join(self.out, "a.csv")
        self.start(f"--output=csv:{path}")
        self.wait(lambda: os.path.exists(path) and len(self.rows("a.csv")) > 2, "rows")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o640)
        os.rename(path, path + ".1")
        self.service.send_signal(signal.SIGHUP)
        self.wait(lambda: os.path.exists(path) and len(self.rows("a.csv")) > 2, "rows in the new file")
        old, new = self.rows("a.csv.1"), self.rows("a.csv")
        self.assertLess(int(old[-1]["time_ns"]), int(new[0]["time_ns"]))
        self.assertEqual(new[0]["energy_joules"], "5.000000")
        # Started again, it adds to what is there and writes no second header.
        self.stop()
        count = len(self.rows("a.csv"))
        self.messages.clear()
        self.start(f"--output=csv:{path}")
        self.wait(lambda: len(self.rows("a.csv")) > count, "more rows")
        self.assertEqual(machine.read(path).count("time_ns"), 1)

    def test_a_disk_that_is_full(self):
        full = os.path.join(self.machine.directory, "full")
        os.mkdir(full)
        machine.mount("-t", "tmpfs", "-o", "size=8k,mode=1777", "tmpfs", full)
        os.symlink(full, os.path.join(self.out, "full"))
        machine.write(full + "/ballast", "x" * 4096)
        # There is something in the file, and a byte more than its header: so that the end comes in the midst of a line.
        machine.write(full + "/a.csv", HEADER + "\n\n")
        os.chmod(full + "/a.csv", 0o666)
        spec = f"csv:{full}/a.csv"
        self.start(f"--output={spec}")
        self.wait_message("No space left on device: make room for it")
        self.wait_up(spec, 0)
        before = machine.read(f"{full}/a.csv")
        self.assertFalse(before.endswith("\n"), before)
        os.truncate(full + "/ballast", 0)
        machine.mount("-o", "remount,size=1m", full)
        self.wait_up(spec)
        self.wait(lambda: len(self.rows("full/a.csv")) > len(before.splitlines()) + 2, "more rows")
        # The line that was cut is whole now, and none is missing or twice.
        self.stop()
        times = [row["time_ns"] + row["zone"] for row in self.rows("full/a.csv")]
        self.assertEqual(len(times), len(set(times)))
        self.assertTrue(machine.read(f"{full}/a.csv").startswith(before))

    def test_a_directory_that_is_not_there_yet(self):
        spec = f"json:{self.out}/later/a.json"
        self.start(f"--output={spec}")
        self.wait_message("cannot open .*/later/a.json: No such file or directory")
        os.mkdir(f"{self.out}/later", 0o755)
        self.service.send_signal(signal.SIGHUP)
        if os.geteuid() == 0:
            # Root's, and the agent is root no more.
            self.wait(lambda: self.metric("queued", spec) > 4, "rows wait")
            self.assertEqual(self.metric("up", spec), 0)
        os.chmod(f"{self.out}/later", 0o777)
        self.service.send_signal(signal.SIGHUP)
        self.wait_up(spec)

    def test_a_pipe_without_a_reader(self):
        path = os.path.join(self.out, "pipe")
        os.mkfifo(path, 0o666)
        os.chmod(path, 0o666)
        self.start(f"--output=csv:{path}")
        self.wait_message("nobody reads the pipe")
        for said in (None, "nobody reads any more|nobody reads the pipe"):
            if said:
                self.messages.clear()
            with open(path, encoding="utf-8") as reader:
                # Each reader gets the header and whole lines.
                self.assertTrue(reader.readline().startswith("time,time_ns,"))
                self.assertEqual(len(next(csv.reader([reader.readline()]))), 17)
                self.wait_up(f"csv:{path}")
            self.wait_message("nobody reads any more")

    def test_a_reader_that_takes_nothing(self):
        path = os.path.join(self.out, "pipe")
        os.mkfifo(path, 0o666)
        os.chmod(path, 0o666)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        import fcntl  # pylint: disable=import-outside-toplevel
        fcntl.fcntl(reader, 1031, 4096)  # F_SETPIPE_SZ
        self.start(f"--output=csv:{path}", "--output.buffer=4")
        self.wait_message("its reader takes nothing")
        text = b""
        # It reads at last: whole lines, in spite of all that was dropped in between.
        while b"works again" not in "".join(self.messages).encode():
            select.select([reader], [], [], 0.1)
            try:
                text += os.read(reader, 65536)
            except BlockingIOError:
                pass
        for line in text.decode().splitlines()[:-1]:
            self.assertEqual(len(next(csv.reader([line]))), 17, line)

    def test_stdout_ends_with_its_reader(self):
        read_end, write_end = os.pipe()
        self.start("--output=json:-", f"--output=csv:{self.out}/beside.csv", stdout=write_end)
        os.close(write_end)
        with open(read_end, encoding="utf-8") as reader:
            row = json.loads(reader.readline())
        self.assertEqual((row["kind"], row["name"], row["energy_joules"], row["up"]), ("zone", "package-0", 5.0, True))
        self.wait_message("output json:-: nobody reads any more; it ends here")
        rows = len(self.rows("beside.csv"))
        self.wait(lambda: len(self.rows("beside.csv")) > rows + 2, "rows beside it")

    # The state of the host's side, the accounts, and the configuration.

    def test_accounts_add_up(self):
        path = os.path.join(self.out, "a.csv")
        for part in ("/fs/cgroup", "/devices/system/cpu"):
            os.makedirs(self.machine.sys + part, exist_ok=True)
            machine.mount("--rbind", "/sys" + part, self.machine.sys + part)
        self.start(f"--output=csv:{path}", "--accounts.top=5", "--compat=kepler")
        energy = [5000000, 700000]

        def divided():
            energy[0] += 40000
            energy[1] += 10000
            self.set_energy(*energy)
            rows = self.rows("a.csv") if os.path.exists(path) else []
            return [row["time_ns"] for row in rows if row["kind"] == "divided" and float(row["energy_joules"]) > 0.2]

        time_ns = self.wait(divided, "energy that is divided")[0]
        self.stop()
        rows = [row for row in self.rows("a.csv") if row["time_ns"] == time_ns]

        def total(zone, *kinds):
            return sum(round(float(row["energy_joules"]) * 1e6) for row in rows if row["zone"] == zone and row["kind"] in kinds)

        for zone in ("package-0", "dram-0", "total"):
            for kind in ("unit", "user", "process"):
                self.assertEqual(total(zone, "divided"), total(zone, "idle", "other", kind), (zone, kind))
        self.assertEqual(total("total", "divided"), total("package-0", "divided") + total("dram-0", "divided"))
        self.assertLessEqual(len({row["name"] for row in rows if row["kind"] == "process"}), 7)

    def test_a_host_that_is_gone_is_told_without_numbers(self):
        path = os.path.join(self.out, "a.csv")
        self.start(f"--output=csv:{path}", "--compat", "scaphandre")
        self.wait(lambda: os.path.exists(path) and len(self.rows("a.csv")) > 2, "rows")
        self.assertEqual(self.metrics()["scaph_host_energy_microjoules"], 5700000)
        self.machine.set_info(age_ms=11000)
        gone = self.wait(lambda: [row for row in self.rows("a.csv") if row["up"] == "0"], "a row that says so")[0]
        self.assertEqual((gone["kind"], gone["age_seconds"], gone["energy_joules"], gone["power_watts"], gone["view"]),
                         ("machine", "11.000", "", "", "isolated"))
        self.assertFalse([name for name in self.metrics() if name.startswith("scaph_")])
        # No row of that time has a number.
        self.assertFalse([row for row in self.rows("a.csv") if row["up"] == "0" and row["energy_joules"]])

    def test_the_configuration(self):
        with tempfile.TemporaryDirectory() as directory:
            path = f"{directory}/agent.conf"
            machine.write(path, f"[output]\n1 = json@100ms:{self.out}/a.json\nperiod = 1h\n[http]\nlisten = 127.0.0.1:0\n"
                                "compat = node\n")
            self.start("--config", path)
            self.wait(lambda: os.path.exists(f"{self.out}/a.json") and machine.read(f"{self.out}/a.json").count("\n") > 2, "rows")
            self.assertTrue([name for name in self.metrics() if name.startswith("node_rapl_dram_joules_total")])
            for text, said in (("[output]\n\n1 = xml:-\n", "output.1: xml:-: the format is csv, json or influx"),
                               ("[output]\nfirst = json:-\n", f"{path}:2: unknown key output.first; there are: 1, 2"),
                               ("[output]\n1 = json:/x\n2 = csv:/x\n", "go to the same place")):
                machine.write(path, text)
                done = subprocess.run([AGENT, "--sysroot", self.machine.root, "--at", self.machine.at, "--config", path],
                                      capture_output=True, text=True, timeout=LIMIT, check=False)
                self.assertIn(said, done.stderr)
                self.assertIn(done.returncode, (1, 2))


if __name__ == "__main__":
    machine.main(AGENT)

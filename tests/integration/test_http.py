#!/usr/bin/python3
"""wattport-exporter over real sockets: floods and broken clients beside a reader who must not notice, TLS and passwords
as curl and Prometheus use them, and its web configuration as promtool judges it.

Exit status 77: something is missing that it needs (curl, openssl, Prometheus).
"""

import argparse
import base64
import contextlib
import http.client
import json
import os
import pwd
import re
import resource
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

SKIPPED = 77
PROGRAMS = {}
VM = "11111111-2222-3333-4444-555555555555"

FLOOD = 10000  # connections, all open at a time
CONNECTION_MAX = 128  # of http_seats.h
GROWTH_MAX_KB = 16384  # of its memory: 128 connections with 32 KiB each, and what belongs to them
LEDGER_DESCRIPTORS = 2  # what it opens for its first answer, at most
PATIENCE_S = 60  # of a reader: nothing here is about time
READER = "127.0.0.9"

# bcrypt of "secret", made by `htpasswd -nbBC 10`; the cost of a usual configuration.
HASH = "$2y$10$abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2u"
CHEAP = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"


def until(condition, what, seconds=PATIENCE_S):
    """Waits for something that another process does."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def run(*command):
    """A command that ends by itself."""
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"^VmRSS:\s+(\d+)", file.read(), re.MULTILINE).group(1))


class Certificates:
    """An authority, a server and a client of its, in a directory."""

    def __init__(self, directory):
        self.directory = directory
        self.make("ca", "/CN=authority")
        self.make("server", "/CN=localhost", signer="ca", names="DNS:localhost,IP:127.0.0.1")
        self.make("client", "/CN=prometheus", signer="ca", names="DNS:prometheus")

    def path(self, name):
        return os.path.join(self.directory, name)

    def make(self, name, subject, signer=None, names=None):
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                   "-subj", subject, "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.pem")]
        if signer:
            command += ["-CA", self.path(f"{signer}.pem"), "-CAkey", self.path(f"{signer}.key")]
        if names:
            command += ["-addext", f"subjectAltName={names}"]
        subprocess.run(command, check=True, capture_output=True)


class Exporter:
    """A running wattport-exporter on a ledger written by hand."""

    def __init__(self, directory, *options, program="wattport-exporter"):
        self.log = os.path.join(directory, "log")
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [PROGRAMS[program], f"--runtime-dir={os.path.join(directory, 'run')}", "--http.listen=127.0.0.1:0", *options],
                stderr=log)
        until(lambda: "(port " in self.text() or self.process.poll() is not None, "the exporter")
        if self.process.poll() is not None:
            raise AssertionError(self.text())
        self.port = int(re.search(r"\(port (\d+)\)", self.text()).group(1))
        self.pid = self.process.pid

    def text(self):
        with open(self.log, encoding="utf-8") as file:
            return file.read()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_S) == 0, self.text()

    def reload(self, message):
        seen = len(self.text())
        self.process.send_signal(signal.SIGHUP)
        until(lambda: message in self.text()[seen:], message)


class Reader(threading.Thread):
    """Scrapes from an address of its own, again and again, until it is told to end."""

    def __init__(self, port, headers=None, context=None):
        super().__init__()
        self.port, self.headers, self.context = port, headers or {}, context
        self.ending = threading.Event()
        self.good, self.bad = 0, []
        self.start()

    def scrape(self):
        # A connection a scrape: the harder way, for each has to be let in anew.
        if self.context:
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=PATIENCE_S, context=self.context,
                                                     source_address=(READER, 0))
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S, source_address=(READER, 0))
        with contextlib.closing(connection):
            connection.request("GET", "/metrics", headers=self.headers)
            response = connection.getresponse()
            if response.status == 200 and b"wattport_vm_energy_joules_total" in response.read():
                self.good += 1
            else:
                self.bad.append(str(response.status))

    def run(self):
        while not self.ending.is_set():
            try:
                self.scrape()
            except OSError as error:
                self.bad.append(repr(error))

    def end(self):
        self.ending.set()
        self.join()


class HttpTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="wattport-test-http.")
        self.addCleanup(shutil.rmtree, self.directory)
        # The exporter becomes somebody else.
        os.chmod(self.directory, 0o755)
        os.mkdir(self.path("run"))
        writer = subprocess.Popen([PROGRAMS["ledger_writer"], self.path("run")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True)
        self.addCleanup(writer.communicate)
        for line in ("host isolated replay package dram", f"vm {VM} 1 running 1", f"energy {VM} 0 1000000 1000000", "publish"):
            writer.stdin.write(line + "\n")
            writer.stdin.flush()
            self.assertEqual(writer.stdout.readline(), "ok\n")

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def start(self, *options):
        exporter = Exporter(self.directory, *options)
        self.addCleanup(exporter.stop)
        return exporter

    def idle(self, exporter, scheme="http"):
        """How many descriptors it has with the ledger open and nobody there; curl's is closed soon, but not at once."""
        before = descriptors(exporter.pid)
        self.assertEqual(self.curl(exporter, scheme=scheme)[0], "200")
        until(lambda: descriptors(exporter.pid) <= before + LEDGER_DESCRIPTORS, "curl's connection to be closed")
        return before + LEDGER_DESCRIPTORS

    def dial(self, exporter, source):
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.settimeout(PATIENCE_S)
        connection.bind((source, 0))
        connection.connect(("127.0.0.1", exporter.port))
        return connection

    @contextlib.contextmanager
    def unnoticed(self, exporter, **reader_options):
        """What happens inside is not noticed by a reader, costs bounded memory, and leaves no descriptor."""
        reader = Reader(exporter.port, **reader_options)
        self.addCleanup(reader.end)
        until(lambda: reader.good > 0 or reader.bad, "a first scrape")
        before_kb, before_fds, before_good = resident_kb(exporter.pid), descriptors(exporter.pid), reader.good
        yield reader
        # At least a few scrapes fall into what has happened, or come after all of it stands.
        until(lambda: reader.good >= before_good + 5 or reader.bad, "more scrapes")
        self.assertLessEqual(descriptors(exporter.pid), before_fds + CONNECTION_MAX + 32)
        if not PROGRAMS["sanitized"]:
            self.assertLess(resident_kb(exporter.pid) - before_kb, GROWTH_MAX_KB)
        self.addCleanup(lambda: self.assertEqual(reader.bad, []))
        reader.end()
        self.assertEqual(reader.bad, [])

    def settled(self, exporter, count):
        """Whether only so many descriptors are left, at last."""
        until(lambda: descriptors(exporter.pid) <= count, f"no more than {count} descriptors")

    def flood(self, count, source):
        exporter = self.start()
        idle = self.idle(exporter)
        connections = []
        try:
            with self.unnoticed(exporter):
                for i in range(count):
                    connections.append(self.dial(exporter, source(i)))
                    # It says something and never ends it; it may have been pushed out by now.
                    with contextlib.suppress(OSError):
                        connections[-1].send(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        finally:
            for connection in connections:
                connection.close()
        self.settled(exporter, idle)

    def test_flood_from_one_address(self):
        self.flood(FLOOD if not PROGRAMS["sanitized"] else FLOOD // 10, lambda i: "127.0.0.2")

    def test_flood_from_everywhere(self):
        self.flood(FLOOD if not PROGRAMS["sanitized"] else FLOOD // 10, lambda i: f"127.{1 + i // 62500}.{i // 250 % 250}.{1 + i % 250}")

    def test_broken_clients(self):
        """One of each, many times over, each half done, beside the reader."""
        head = b"GET /metrics HTTP/1.1\r\nHost: x\r\n"
        broken = (
            b"", b"\r\n", b"G", b"GET / HTTP/0.9\r\n\r\n", b"GET /\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET http://x/ HTTP/1.1\r\n\r\n",
            b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", head + b"X: \0\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"\xff" * 5000,
            head + b"X: " + b"x" * 100000, head + b"Cookie: " + b"a=b; " * 20000, b"GET /" + b"x" * 100000,
            head + b"Accept: " + b"a/b;q=0.1," * 3000 + b"\r\n\r\n", head + b"Accept: " + b"\"" * 30000 + b"\r\n\r\n",
            head + b"X: y\r\n" * 4000 + b"\r\n", head + b"Content-Length: 10\r\n\r\n", head + b"Content-Length: -1\r\n\r\n",
            head + b"Content-Length: 99999999999999999999\r\n\r\n", head + b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", (head + b"\r\n") * 200,
        )
        exporter = self.start()
        idle = self.idle(exporter)
        connections = []
        with self.unnoticed(exporter):
            for i, request in enumerate(broken * 10):
                connection = self.dial(exporter, f"127.0.2.{1 + i % 200}")
                connections.append(connection)
                connection.settimeout(5)
                # Nobody takes what it may answer.
                with contextlib.suppress(OSError):
                    connection.send(request)
        for connection in connections:
            connection.close()
        self.settled(exporter, idle)

    def test_methods(self):
        exporter = self.start()
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"):
            with self.subTest(method), contextlib.closing(http.client.HTTPConnection("127.0.0.1", exporter.port)) as connection:
                connection.request(method, "/metrics")
                response = connection.getresponse()
                self.assertEqual((response.status, response.headers["Allow"]), (405, "GET, HEAD"))

    def guarded(self, more="", users=True, server="server"):
        """A web configuration with TLS and passwords, and what curl needs for it."""
        certificates = Certificates(self.directory)
        text = f"tls_server_config:\n  cert_file: {server}.pem\n  key_file: {server}.key\n{more}"
        if users:
            text += f"basic_auth_users:\n  alice: {HASH}\n  bob: {CHEAP}\n"
        self.write("web.yml", text)
        return certificates

    def curl(self, exporter, *options, path="/metrics", scheme="https"):
        """The status (000: none) and the body."""
        done = run("curl", "--silent", "--show-error", "--max-time", str(PATIENCE_S), "--write-out", "\n%{http_code}", "--cacert",
                   self.path("ca.pem"), *options, f"{scheme}://localhost:{exporter.port}{path}")
        body, _, status = done.stdout.rpartition("\n")
        return status, body + done.stderr

    def test_curl(self):
        self.guarded()
        exporter = self.start(f"--web.config.file={self.path('web.yml')}")
        for path in ("/metrics", "/", "/healthz", "/status.json", "/nothing"):
            self.assertEqual(self.curl(exporter, path=path)[0], "401", path)
        status, body = self.curl(exporter, "--user", "alice:secret")
        self.assertEqual(status, "200", body)
        self.assertIn("wattport_vm_energy_joules_total", body)
        self.assertEqual(self.curl(exporter, "--user", "bob:secret")[0], "200")
        self.assertEqual(self.curl(exporter, "--user", "alice:secret", path="/nothing")[0], "404")
        for user in ("alice:wrong", "alice:", "bob:Secret", "mallory:secret", ":", f"alice:{'x' * 300}"):
            self.assertEqual(self.curl(exporter, "--user", user)[0], "401", user)
        # Who speaks the wrong language is told.
        status, body = self.curl(exporter, scheme="http")
        self.assertEqual(status, "400")
        self.assertIn("this port speaks TLS: use https://", body)
        plain = self.start("--web.config.file", self.write("plain.yml", f"basic_auth_users:\n  bob: {CHEAP}\n"))
        self.assertEqual(self.curl(plain, scheme="http")[0], "401")
        self.assertEqual(self.curl(plain, "--user", "bob:secret", scheme="http")[0], "200")
        status, body = self.curl(plain)
        self.assertEqual(status, "000")
        self.assertIn("wrong version number", body)
        # It is unprivileged by now, and every call that it made was on its list.
        self.assertEqual(os.stat(f"/proc/{exporter.pid}").st_uid, pwd.getpwnam("nobody").pw_uid if not user_exists() else
                         pwd.getpwnam("wattport").pw_uid)

    def test_guessing_does_not_stop_others(self):
        """Wrong passwords cost tens of milliseconds each; a reader who is known pays none of that."""
        self.guarded()
        exporter = self.start(f"--web.config.file={self.path('web.yml')}")
        context = ssl.create_default_context(cafile=self.path("ca.pem"))
        token = base64.b64encode(b"alice:secret").decode()
        statuses = set()
        ending = threading.Event()

        def guess(source):
            number = 0
            while not ending.is_set():
                number += 1
                guessed = base64.b64encode(f"alice:{source}{number}".encode()).decode()
                with contextlib.closing(http.client.HTTPSConnection("127.0.0.1", exporter.port, timeout=PATIENCE_S, context=context,
                                                                    source_address=(source, 0))) as connection:
                    connection.request("GET", "/metrics", headers={"Authorization": f"Basic {guessed}"})
                    statuses.add(connection.getresponse().status)

        guessers = [threading.Thread(target=guess, args=(f"127.0.3.{1 + i // 4}",)) for i in range(8)]
        with self.unnoticed(exporter, headers={"Authorization": f"Basic {token}"}, context=context):
            for guesser in guessers:
                guesser.start()
        ending.set()
        for guesser in guessers:
            guesser.join()
        self.assertLessEqual(statuses, {401, 429})
        self.assertIn(401, statuses)

    def test_handshakes_that_stall(self):
        """A thousand clients that begin TLS and go no further."""
        self.guarded(users=False)
        exporter = self.start(f"--web.config.file={self.path('web.yml')}")
        idle = self.idle(exporter, "https")
        context = ssl.create_default_context(cafile=self.path("ca.pem"))
        hello = ssl.MemoryBIO()
        with contextlib.suppress(ssl.SSLWantReadError):
            context.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost").do_handshake()
        hello = hello.read()
        connections = []
        with self.unnoticed(exporter, context=context):
            for i in range(1000 if not PROGRAMS["sanitized"] else 200):
                connections.append(self.dial(exporter, f"127.0.4.{1 + i % 50}"))
                with contextlib.suppress(OSError):
                    connections[-1].send(hello[:len(hello) * (i % 3) // 2])
        for connection in connections:
            connection.close()
        self.settled(exporter, idle)

    def test_client_certificates(self):
        self.guarded("  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"
                     "  client_allowed_sans: [prometheus]\n", users=False)
        exporter = self.start(f"--web.config.file={self.path('web.yml')}")
        self.assertEqual(self.curl(exporter)[0], "000")
        own = ("--cert", self.path("client.pem"), "--key", self.path("client.key"))
        self.assertEqual(self.curl(exporter, *own)[0], "200")
        others = ("--cert", self.path("server.pem"), "--key", self.path("server.key"))
        self.assertEqual(self.curl(exporter, *others)[0], "000")

    def serial(self, exporter):
        """Of the certificate that it shows."""
        context = ssl.create_default_context(cafile=self.path("ca.pem"))
        with socket.create_connection(("127.0.0.1", exporter.port), PATIENCE_S) as plain, \
                context.wrap_socket(plain, server_hostname="localhost") as connection:
            return connection.getpeercert()["serialNumber"]

    def test_renewal(self):
        certificates = self.guarded(users=False)
        # As a package or a certificate client would: the service's user may read its key.
        os.chmod(self.path("server.key"), 0o644)
        exporter = self.start(f"--web.config.file={self.path('web.yml')}")
        first = self.serial(exporter)
        # A connection that began under the old certificate goes on.
        context = ssl.create_default_context(cafile=self.path("ca.pem"))
        with contextlib.closing(http.client.HTTPSConnection("localhost", exporter.port, context=context,
                                                            timeout=PATIENCE_S)) as kept:
            kept.request("GET", "/healthz")
            kept.getresponse().read()
            certificates.make("server", "/CN=localhost", signer="ca", names="DNS:localhost,IP:127.0.0.1")
            os.chmod(self.path("server.key"), 0o644)
            exporter.reload("the web configuration was read again")
            until(lambda: self.serial(exporter) != first, "the new certificate")
            kept.request("GET", "/metrics")
            self.assertEqual(kept.getresponse().status, 200)
        # What is no good is told, and changes nothing.
        second = self.serial(exporter)
        self.write("web.yml", "tls_server_config:\n  cert_file: none.pem\n  key_file: server.key\n")
        exporter.reload("none.pem: No such file or directory; what was read before goes on to hold")
        self.write("web.yml", "")
        exporter.reload("TLS cannot be turned on or off while the server runs: restart it")
        self.assertEqual(self.serial(exporter), second)

    def test_a_key_that_only_root_may_read(self):
        self.guarded(users=False)
        os.chmod(self.path("server.key"), 0o600)
        exporter = self.start(f"--web.config.file={self.path('web.yml')}")
        self.assertEqual(self.curl(exporter)[0], "200")
        exporter.reload("server.key: Permission denied; what was read before goes on to hold")
        self.assertEqual(self.curl(exporter)[0], "200")

    def test_refused_at_the_start(self):
        self.write("wattport.conf", f"[web]\nconfig.file = {self.path('web.yml')}\n")
        self.write("web.yml", "basic_auth_users:\n  alice: secret\n")
        done = run(PROGRAMS["wattport-exporter"], "--http.listen=127.0.0.1:0", "--config", self.path("wattport.conf"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("web.yml:2: the password of alice is no bcrypt hash", done.stderr)
        self.assertNotIn("secret", done.stderr.replace("alice: secret", ""))

    def test_prometheus(self):
        if PROGRAMS["sanitized"]:
            self.skipTest("curl does for sanitizers")
        self.guarded("  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n")
        exporter = self.start(f"--web.config.file={self.path('web.yml')}")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        job = {"scheme": "https", "static_configs": [{"targets": [f"localhost:{exporter.port}"]}],
               "tls_config": {"ca_file": self.path("ca.pem"), "cert_file": self.path("client.pem"),
                              "key_file": self.path("client.key")}}
        configuration = self.write("prometheus.yml", json.dumps({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [{"job_name": "right", "basic_auth": {"username": "alice", "password": "secret"}, **job},
                               {"job_name": "wrong", "basic_auth": {"username": "alice", "password": "guess"}, **job}]}))
        with open(self.path("prometheus.log"), "w", encoding="utf-8") as log:
            prometheus = subprocess.Popen(
                ["prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={self.path('tsdb')}",
                 f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"], stdout=log, stderr=log)
        self.addCleanup(prometheus.wait)
        self.addCleanup(prometheus.terminate)

        def answers(query):
            with contextlib.suppress(OSError), urllib.request.urlopen(
                    f"http://127.0.0.1:{port}/api/v1/query?query={query}", timeout=PATIENCE_S) as response:
                return json.load(response)["data"]["result"]
            return []

        until(lambda: answers('up{job="right"}==1') and answers('up{job="wrong"}==0'), "Prometheus to scrape")
        self.assertEqual(len(answers(f'wattport_vm_info{{job="right",uuid="{VM}"}}')), 1)

    def judge(self, name):
        """Whether wattport-exporter takes a file: it is refused before it is listened. A path for --http.listen that
        nothing can be bound to ends the trial of a good one."""
        done = run(PROGRAMS["wattport-exporter"], "--http.listen=192.0.2.1:1", f"--web.config.file={name}")
        return "cannot listen on port 1" in done.stderr, done.stderr

    def test_promtool_agrees(self):
        if PROGRAMS["sanitized"]:
            self.skipTest("the unit test of the file does for sanitizers")
        self.guarded()
        pair = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"
        user = f"basic_auth_users:\n  a: {CHEAP}\n"
        both = (
            "", "{}", "tls_server_config:\n", "tls_server_config: {}\n", "foo: 1\n", "- a\n", "hello\n", "a: b: c\n", pair, user, pair + user,
            pair + pair, user + "  a: x\n", user + f"  a: {CHEAP}\n", user + f"  1: {CHEAP}\n", "basic_auth_users: [a]\n",
            "basic_auth_users:\n  a:\n", "basic_auth_users:\n  a: [x]\n", f"basic_auth_users:\n  a: {CHEAP.replace('$04', '$32')}\n",
            "tls_server_config:\n  cert_file: server.pem\n", "tls_server_config:\n  key_file: server.key\n",
            "tls_server_config:\n  cert_file:\n  key_file: server.key\n", "tls_server_config:\n  client_auth_type: NoClientCert\n",
            "tls_server_config:\n  min_version: TLS13\n", pair.replace("server.pem", "none.pem"), pair.replace("server.key", "server.pem"),
            pair.replace("server.key", "client.key"), pair + "  min_version: TLS10\n", pair + "  min_version: TLS14\n",
            pair + "  client_auth_type: Foo\n", pair + "  client_ca_file: ca.pem\n", pair + "  client_auth_type: RequireClientCert\n",
            pair + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: none.pem\n",
            pair + "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n", pair + "  curve_preferences: [X25519, CurveP521]\n",
            pair + "  curve_preferences: [P256]\n", pair + "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n",
            pair + "  cipher_suites: [TLS_RSA_WITH_3DES_EDE_CBC_SHA]\n", pair + "  cipher_suites: TLS_RSA_WITH_AES_128_CBC_SHA\n",
            pair + "  prefer_server_cipher_suites: off\n", pair + "  prefer_server_cipher_suites: maybe\n",
            "http_server_config:\n  http2: false\n", "http_server_config:\n  http2: 7\n", "http_server_config:\n  http3: true\n",
            "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    X-XSS-Protection: 1\n",
            "http_server_config:\n  headers:\n    X-Frame-Options: foo\n", "http_server_config:\n  headers:\n    Foo: foo\n",
            "http_server_config:\n  headers:\n    X-Content-Type-Options: nosniff\n    Content-Security-Policy: x\n",
            "---\nbasic_auth_users: {}\n---\nfoo: bar\n", "basic_auth_users: &x {}\nhttp_server_config: {headers: *x}\n",
        )
        # What promtool lets pass and nobody could use, or keys that its version does not know yet.
        stricter = (
            f"basic_auth_users:\n  'a:b': {CHEAP}\n", f"basic_auth_users:\n  a: {CHEAP.replace('$04', '$20')}\n", f"basic_auth_users:\n  a: {CHEAP}x\n",
            pair + "  min_version: TLS13\n  max_version: TLS12\n",
            pair + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: server.key\n",
        )
        verdicts = set()
        for text in both:
            name = self.write("judged.yml", text)
            ours, message = self.judge(name)
            theirs = run("promtool", "check", "web-config", name)
            self.assertEqual(ours, theirs.returncode == 0, f"{text}\n{message}\n{theirs.stdout}{theirs.stderr}")
            verdicts.add(ours)
        self.assertEqual(verdicts, {True, False})
        for text in stricter:
            ours, message = self.judge(self.write("judged.yml", text))
            self.assertFalse(ours, text)
            self.assertIn("judged.yml", message)


def user_exists():
    try:
        return pwd.getpwnam("wattport") is not None
    except KeyError:
        return False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--wattport-exporter", required=True)
    parser.add_argument("--ledger-writer", required=True)
    parser.add_argument("--sanitized", action="store_true")
    options, rest = parser.parse_known_args()
    PROGRAMS.update({"wattport-exporter": os.path.abspath(options.wattport_exporter),
                     "ledger_writer": os.path.abspath(options.ledger_writer), "sanitized": options.sanitized})
    for program in ("curl", "openssl", "prometheus", "promtool"):
        if shutil.which(program) is None:
            print(f"{program} is not installed")
            return SKIPPED
    if os.geteuid() != 0:
        print("this needs root, which the exporter gives up")
        return SKIPPED
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < FLOOD + 100:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FLOOD + 100, FLOOD + 100))
    else:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Peers that mean harm, over raw sockets: hostile.py NAME PORT PID [LOG]. Each NAME is a function below; it fails by an assertion.

Meanwhile somebody else asks for /health all the time, and has to be answered soon; in the end the daemon holds as many descriptors as
before, and not much more memory.
"""
import base64
import json
import os
import socket
import struct
import sys
import threading
import time

SLOW = float(os.environ.get("METE_TEST_SLOW", "1"))
WAIT_MAX = 5 * SLOW  # seconds that somebody else waits at most while a hostile call is dealt with
DEADLINE = 60 * SLOW
SLACK = 2  # descriptors: the agent and the master connect with each other when they need it
JSON, PROTOBUF = "application/json", "application/x-protobuf"
MIB = 1 << 20


# ---- the wire ----

class Wire:
    def __init__(self, port, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.bytes = b""

    def send(self, data):
        self.socket.sendall(data)

    def fill(self):
        data = self.socket.recv(1 << 18)
        if not data:
            raise EOFError
        self.bytes += data

    def until(self, end):
        while end not in self.bytes:
            self.fill()
        text, self.bytes = self.bytes.split(end, 1)
        return text

    def take(self, size):
        parts, have = [self.bytes], len(self.bytes)
        while have < size:
            data = self.socket.recv(1 << 18)
            if not data:
                raise EOFError
            parts.append(data)
            have += len(data)
        whole = b"".join(parts)
        self.bytes = whole[size:]
        return whole[:size]

    def head(self):
        lines = self.until(b"\r\n\r\n").decode().split("\r\n")
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
        return int(lines[0].split()[1]), headers

    def answer(self):
        status, headers = self.head()
        return status, self.take(int(headers.get("content-length", 0)))

    def record(self):
        """One event: it is one record in one chunk."""
        chunk = self.take(int(self.until(b"\r\n"), 16))
        assert self.take(2) == b"\r\n"
        size, payload = chunk.split(b"\n", 1)
        assert int(size) == len(payload), (size, len(payload))
        return payload

    def close(self):
        self.socket.close()


def request(path, body, kind=JSON, headers=(), method="POST"):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if kind is not None:
        lines.append(f"Content-Type: {kind}")
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


# ---- protobuf, as little as is needed ----

def varint(n):
    out = b""
    n &= (1 << 64) - 1
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def ident(text):
    return field(1, text)


# ---- what a daemon is, seen from outside ----

class Daemon:
    def __init__(self, port, pid):
        self.port, self.pid = port, pid
        self.longest, self.asked, self.over = 0.0, 0, threading.Event()
        self.failure = None
        self.once()  # what is allocated on the first occasion is no leak
        self.descriptors, self.memory = self.open_descriptors(), self.resident()
        self.other = threading.Thread(target=self.ask)
        self.other.start()

    def once(self):
        wire = Wire(self.port)
        wire.send(request("/health", b"", None, method="GET"))
        assert wire.answer()[0] == 200
        wire.close()
        time.sleep(0.05)

    def ask(self):
        try:
            while not self.over.is_set():
                begun = time.monotonic()
                wire = Wire(self.port)
                wire.send(request("/health", b"", None, method="GET"))
                assert wire.answer()[0] == 200
                wire.close()
                self.longest = max(self.longest, time.monotonic() - begun)
                self.asked += 1
                self.over.wait(0.02)
        except Exception as e:  # pylint: disable=broad-except
            self.failure = e

    def open_descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def resident(self):
        with open(f"/proc/{self.pid}/status") as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))

    def call(self, path, body, kind=JSON, headers=(), method="POST"):
        wire = Wire(self.port)
        wire.send(request(path, body, kind, headers, method))
        answer = wire.answer()
        wire.close()
        return answer

    def finish(self, grown_max):
        """grown_max: bytes that it may hold more than before."""
        self.over.set()
        self.other.join()
        assert not self.failure, f"/health: {self.failure!r}"
        deadline = time.monotonic() + DEADLINE
        while self.open_descriptors() > self.descriptors + SLACK:
            assert time.monotonic() < deadline, f"{self.open_descriptors()} descriptors, {self.descriptors} before"
            time.sleep(0.05)
        grown = self.resident() - self.memory
        print(f"asked {self.asked} times meanwhile, waited at most {self.longest:.3f} s; {grown // 1024} KiB more than before")
        assert self.asked > 0 and self.longest < WAIT_MAX, f"somebody else waited {self.longest:.3f} s"
        if "san" not in os.environ.get("BUILD", ""):  # there, what is freed is kept for a while
            assert grown < grown_max, f"{grown} bytes more than before"


# ---- a scheduler ----

SCHEDULER = "/api/v1/scheduler"


class Scheduler:
    """Speaks one of the encodings; its events come decoded only in JSON."""

    def __init__(self, daemon, kind=JSON, receive_buffer=None, failover=0.0):
        self.daemon, self.kind = daemon, kind
        self.stream = Wire(daemon.port, receive_buffer)
        info = {"user": "root", "name": "hostile", "failover_timeout": failover, "capabilities": [{"type": "PARTITION_AWARE"}]}
        body = json.dumps({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}}).encode()
        self.stream.send(request(SCHEDULER, body, JSON, ["Accept: " + JSON]))
        status, headers = self.stream.head()
        assert status == 200, status
        self.headers = ["Mesos-Stream-Id: " + headers["mesos-stream-id"]]
        self.id = self.event()["subscribed"]["framework_id"]["value"]

    def event(self):
        return json.loads(self.stream.record())

    def next_of(self, kind):
        while True:
            event = self.event()
            if event["type"] == kind:
                return event

    def body(self, kind, as_json, as_wire):
        """as_wire: the number of the type and the fields behind it."""
        if self.kind == JSON:
            return json.dumps({"framework_id": {"value": self.id}, "type": kind, **as_json}).encode()
        return field(1, ident(self.id)) + field(2, as_wire[0]) + as_wire[1]

    def call(self, kind, as_json, as_wire):
        return self.daemon.call(SCHEDULER, self.body(kind, as_json, as_wire), self.kind, self.headers)[0]

    def teardown(self):
        assert self.call("TEARDOWN", {}, (2, b"")) == 202
        self.stream.close()


def offer():
    """Of nobody."""
    return "6ba7b810-9dad-41d1-80b4-00c04fd430c8-O%d"


def both(test):
    """Once in each encoding."""
    def run(daemon, *_):
        for kind in (JSON, PROTOBUF):
            test(daemon, kind)
        daemon.finish(128 * MIB)
    return run


# ---- rows ----

DEEP = 100000


def deep_message(levels):
    """ContainerID.parent, again and again: deeper than anybody means it."""
    body = b""
    for _ in range(levels):
        body = field(1, "c") + field(2, body) if body else field(1, "c")
    return body


def statuses(daemon, path, rows):
    for name, kind, body, want in rows:
        got, text = daemon.call(path, body, kind, ["Accept: " + JSON])
        assert got == want, f"{name} ({kind}): {got} {text[:200]}, expected {want}"
        if want >= 400:
            assert len(text) < 4096, f"{name}: the answer quotes too much: {len(text)} bytes"
            text.decode()


def no_calls(least_valid):
    """What is no call at all, of whatever endpoint; least_valid: protobuf that is one."""
    return [
        ("no body", JSON, b"", 400),
        ("no body", PROTOBUF, b"", 400),
        ("another type", "application/JSON", b"{}", 415),
        ("another type", "application/x-protobuf; charset=utf-8", least_valid, 415),
        ("a type of 60000 bytes", "a" * 60000, b"{}", 415),
        ("no object", JSON, b"[]", 400),
        ("a number", JSON, b"17", 400),
        ("cut", JSON, b'{"type": "SUBSC', 400),
        ("cut", PROTOBUF, least_valid[:-1], 400),
        ("deep lists", JSON, b"[" * DEEP, 400),
        ("deep objects", JSON, b'{"a":' * DEEP, 400),
        ("deep objects in an unknown field", JSON, b'{"x":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}", 400),
        ("deep groups", PROTOBUF, b"\x0b" * DEEP, 400),
        ("invalid UTF-8", JSON, b'{"type": "\xff\xfe"}', 400),
        ("invalid UTF-8 in a name", JSON, b'{"\xc0\x80": 1}', 400),
        ("half of a surrogate", JSON, b'{"type": "\\ud800"}', 400),
        ("a NUL", JSON, b'{"type": "A\\u0000B"}', 400),
        ("raw NULs", JSON, bytes(1000), 400),
        ("type as a list", JSON, b'{"type": ["SUBSCRIBE"]}', 400),
        ("type as a number", JSON, b'{"type": 1}', 400),
        ("type as a length", PROTOBUF, field(2, "SUBSCRIBE"), 400),
        ("a length beyond the end", PROTOBUF, b"\x0a\xff\xff\xff\xff\x0f", 400),
        ("a varint without an end", PROTOBUF, b"\xff" * 64, 400),
        ("a number without bounds", JSON, b'{"type": "X", "a": ' + b"9" * 100000 + b"}", 400),
        ("an exponent without bounds", JSON, b'{"type": "X", "a": 1e999999999}', 400),
        ("half a million of empty lists", JSON, b'{"a": [' + b"[]," * 499999 + b"[]]}", 400),
    ]


def scheduler_rows(daemon, *_):
    scheduler_statuses(daemon)
    daemon.memory = daemon.resident()  # freed memory is kept for the next one, so only what the same adds again is a leak
    scheduler_statuses(daemon)
    daemon.finish(64 * MIB)


def scheduler_statuses(daemon):
    framework = b'{"framework_id": {"value": "x"}, "type": "%s"%s}'
    subscribe = b'{"type": "SUBSCRIBE", "subscribe": {"framework_info": {%s}}}'
    statuses(daemon, SCHEDULER, no_calls(field(1, ident("x")) + field(2, 2)) + [
        ("16 MiB of spaces", JSON, b" " * (16 * MIB), 400),
        ("more than 16 MiB", JSON, b" " * (16 * MIB + 1), 413),
        ("more than 16 MiB", PROTOBUF, field(15, bytes(16 * MIB)), 413),
        ("more than the server takes", JSON, b" " * (32 * MIB + 1), 413),
        ("16 MiB of one text", JSON, framework % (b"TEARDOWN", b', "x": "' + b"a" * (16 * MIB - 100) + b'"'), 400),
        ("16 MiB of one field", PROTOBUF, field(1, ident("x")) + field(2, 2) + field(15, bytes(16 * MIB - 100)), 400),
        ("framework_id as a text", JSON, b'{"framework_id": "x", "type": "TEARDOWN"}', 400),
        ("an id of a megabyte", JSON, framework.replace(b'"x"', b'"' + b"x" * MIB + b'"') % (b"TEARDOWN", b""), 400),
        ("an unknown type", JSON, framework % (b"NO_SUCH", b""), 400),
        ("an unknown type", PROTOBUF, field(1, ident("x")) + field(2, 99999), 400),
        ("user and name missing", JSON, subscribe % b"", 400),
        ("user and name missing", PROTOBUF, field(2, 1) + field(3, field(1, b"")), 400),
        ("roles as a number in a list", JSON, subscribe % b'"user": "root", "name": "x", "roles": [{}]', 400),
        ("failover_timeout as a text", JSON, subscribe % b'"user": "root", "name": "x", "failover_timeout": "soon"', 400),
        ("invalid UTF-8 in a text", PROTOBUF, field(2, 1) + field(3, field(1, field(1, b"\xff") + field(2, "x"))), 400),
        ("task_id missing", JSON, framework % (b"KILL", b', "kill": {}'), 400),
        ("task_id missing", PROTOBUF, field(1, ident("x")) + field(2, 6) + field(6, b""), 400),
        ("uuid no base64", JSON, framework % (b"ACKNOWLEDGE", b', "acknowledge": {"agent_id": {"value": "a"}, '
                                              b'"task_id": {"value": "t"}, "uuid": "!!!!"}'), 400),
        ("uuid of 15 bytes", PROTOBUF, field(1, ident("x")) + field(2, 8) + field(
            8, field(1, ident("a")) + field(2, ident("t")) + field(3, bytes(15))), 400),
        ("an id that leads out of a directory", JSON, framework % (b"KILL", b', "kill": {"task_id": {"value": "../../x"}}'), 400),
        ("a framework that nobody knows", JSON, framework % (b"TEARDOWN", b""), 400),
        ("the same", PROTOBUF, field(1, ident("x")) + field(2, 2), 400),
    ])


def executor_rows(daemon, *_):
    who = b'"executor_id": {"value": "x"}, "framework_id": {"value": "f"}'
    update = b'{' + who + b', "type": "UPDATE", "update": {"status": {%s}}}'
    good = b'"task_id": {"value": "t"}, "source": "SOURCE_EXECUTOR", "state": "TASK_RUNNING"'
    wire_who = field(1, ident("x")) + field(2, ident("f"))
    uuid = base64.b64encode(bytes(16))
    many = b",".join([b'{"status": {' + good + b', "uuid": "' + uuid + b'"}}'] * 10000)
    statuses(daemon, "/api/v1/executor", no_calls(wire_who + field(3, 4)) + [
        ("more than the server takes", JSON, b" " * (2 * MIB + 1), 413),
        ("more than the server takes", PROTOBUF, field(15, bytes(2 * MIB)), 413),
        ("executor_id missing", JSON, b'{"framework_id": {"value": "f"}, "type": "HEARTBEAT"}', 400),
        ("framework_id missing", PROTOBUF, field(1, ident("x")) + field(3, 4), 400),
        ("type missing", JSON, b"{" + who + b"}", 400),
        ("an unknown type", PROTOBUF, wire_who + field(3, 99999), 400),
        ("update missing", JSON, b"{" + who + b', "type": "UPDATE"}', 400),
        ("uuid missing", JSON, update % good, 400),
        ("uuid of 17 bytes", JSON, update % (good + b', "uuid": "' + base64.b64encode(bytes(17)) + b'"'), 400),
        ("STAGING", JSON, update % (good.replace(b"RUNNING", b"STAGING") + b', "uuid": "' + uuid + b'"'), 400),
        ("of the master", JSON, update % (good.replace(b"SOURCE_EXECUTOR", b"SOURCE_MASTER") + b', "uuid": "' + uuid + b'"'), 400),
        ("of another executor", JSON, update % (good + b', "uuid": "' + uuid + b'", "executor_id": {"value": "y"}'), 400),
        ("of another agent", JSON, update % (good + b', "uuid": "' + uuid + b'", "agent_id": {"value": "y"}'), 400),
        ("an id that leads out of a directory", JSON, update % (good.replace(b'"t"', b'"../t"') + b', "uuid": "' + uuid + b'"'), 400),
        ("deep ids", PROTOBUF, wire_who + field(3, 2) + field(5, field(1, field(13, field(4, deep_message(5000))))), 400),
        ("10,000 updates of nobody", JSON, b"{" + who + b', "type": "SUBSCRIBE", "subscribe": {"unacknowledged_updates": [' + many + b"]}}", 400),
        ("nobody", JSON, update % (good + b', "uuid": "' + uuid + b'"'), 400),
        ("nobody", PROTOBUF, wire_who + field(3, 3) + field(6, field(1, b"data")), 400),
        ("a heartbeat", PROTOBUF, wire_who + field(3, 4), 202),
    ])
    daemon.finish(64 * MIB)


# ---- many of one thing ----

@both
def many(daemon, kind):
    """A hundred thousand offers declined and tasks reconciled in one call, ten thousand tasks in one ACCEPT."""
    s = Scheduler(daemon, kind)
    ids = [offer() % i for i in range(100000)]
    assert s.call("DECLINE", {"decline": {"offer_ids": [{"value": i} for i in ids]}},
                  (4, field(5, b"".join(field(1, ident(i)) for i in ids)))) == 202
    tasks = [f"task-{i}" for i in range(100000)]
    assert s.call("RECONCILE", {"reconcile": {"tasks": [{"task_id": {"value": t}} for t in tasks]}},
                  (9, field(9, b"".join(field(1, field(1, ident(t))) for t in tasks)))) == 202
    for t in tasks:
        status = s.next_of("UPDATE")["update"]["status"]
        assert (status["task_id"]["value"], status["state"]) == (t, "TASK_UNKNOWN"), status
    accept_many(s, "none", "TASK_DROPPED", "REASON_INVALID_OFFERS")
    s.teardown()


def accept_many(s, offer_id, state, reason):
    """The tasks have ids that are none: should the offer be one, it is lost on them."""
    infos = [{"name": "t", "task_id": {"value": f"t/{i}"}, "agent_id": {"value": "a"}} for i in range(10000)]
    wire = b"".join(field(1, field(1, "t") + field(2, ident(f"t/{i}")) + field(3, ident("a"))) for i in range(10000))
    assert s.call("ACCEPT", {"accept": {"offer_ids": [{"value": offer_id}], "operations": [{"type": "LAUNCH", "launch": {"task_infos": infos}}]}},
                  (3, field(4, field(1, ident(offer_id)) + field(2, field(1, 1) + field(2, wire))))) == 202
    for i in range(10000):
        status = s.next_of("UPDATE")["update"]["status"]
        assert (status["task_id"]["value"], status["state"], status["reason"]) == (f"t/{i}", state, reason), status


def accept_on_offer(daemon, *_):
    """The same, on an offer that there is: each of the tasks is refused, and the offer comes back."""
    s = Scheduler(daemon)
    one = s.next_of("OFFERS")["offers"]["offers"][0]["id"]["value"]
    accept_many(s, one, "TASK_ERROR", "REASON_TASK_INVALID")
    assert s.next_of("OFFERS")["offers"]["offers"][0]["id"]["value"] != one
    s.teardown()
    daemon.finish(128 * MIB)


@both
def pieces(daemon, kind):
    """A call in packets of one byte, a hundred calls in one, and one that begins in the packet in which another ends."""
    s = Scheduler(daemon, kind)
    revive = request(SCHEDULER, s.body("REVIVE", {}, (5, b"")), kind, s.headers)
    wire = Wire(daemon.port)
    for i in range(len(revive)):
        wire.send(revive[i:i + 1])
    assert wire.answer() == (202, b"")
    wire.send(revive * 100)
    assert [wire.answer() for _ in range(100)] == [(202, b"")] * 100
    wire.send(revive + revive[:50])
    assert wire.answer() == (202, b"")
    wire.send(revive[50:])
    assert wire.answer() == (202, b"")
    wire.close()
    s.teardown()


# ---- those who are slow, or silent ----

def silent(daemon, *_):
    """A thousand connections that say nothing, and two hundred that never finish what they say."""
    wires = [Wire(daemon.port) for _ in range(1000)]
    begun = request(SCHEDULER, b'{"type": "TEARDOWN"', JSON)
    for i in range(200):
        wires.append(Wire(daemon.port))
        wires[-1].send(begun[:len(begun) - i % 40 - 1])
    for _ in range(20):
        assert daemon.call("/health", b"", None, method="GET")[0] == 200
    for w in wires[-200:]:  # a byte at a time
        try:
            w.send(b" ")
        except OSError:
            pass  # cut, to make room for others
    assert daemon.call("/health", b"", None, method="GET")[0] == 200
    for w in wires:
        w.close()
    daemon.finish(64 * MIB)


def announced(daemon, *_):
    """Bodies that are announced and do not come cost nothing."""
    wires = []
    for _ in range(100):
        wires.append(Wire(daemon.port))
        wires[-1].send(request(SCHEDULER, b"", JSON).replace(b"Content-Length: 0", b"Content-Length: 16000000") + b"{")
    assert daemon.call("/health", b"", None, method="GET")[0] == 200
    assert daemon.resident() - daemon.memory < 64 * MIB or "san" in os.environ.get("BUILD", "")
    for w in wires:
        w.close()
    daemon.finish(64 * MIB)


LOG_LINE = "does not read its events"


def deaf(daemon, log, *_):
    """Subscribers that never read are cut when they have too much to read, with one line in the log each; others do not notice."""
    other = Scheduler(daemon)
    for i in range(SLACK + 1):
        s, calls = Scheduler(daemon, receive_buffer=4096, failover=1000.0), 0
        while accept_unread(s):
            calls += 1
            name = f"other-{i}-{calls}"
            assert other.call("RECONCILE", {"reconcile": {"tasks": [{"task_id": {"value": name}}]}}, None) == 202
            assert other.next_of("UPDATE")["update"]["status"]["task_id"]["value"] == name
            assert calls < 100, "it is never cut"
        assert calls >= 2, "it is cut before much waits"
        with open(log) as f:
            lines = [line for line in f if LOG_LINE in line and s.id in line]
        assert len(lines) == 1, lines
        s.stream.close()
    other.teardown()
    daemon.finish(128 * MIB)


def accept_unread(s):
    infos = [{"name": "t", "task_id": {"value": f"t{i}"}, "agent_id": {"value": "a"}} for i in range(10000)]
    status = s.call("ACCEPT", {"accept": {"offer_ids": [{"value": "none"}], "operations": [{"type": "LAUNCH", "launch": {"task_infos": infos}}]}}, None)
    assert status in (202, 403), status
    return status == 202


def main():
    name, port, pid, *more = sys.argv[1:]
    daemon = Daemon(int(port), int(pid))
    try:
        globals()[name](daemon, *more)
    finally:
        daemon.over.set()


main()

#!/usr/bin/env python3
"""A master that only speaks to an agent: it sends the commands that a test asks for, and writes down what the agent calls.

usage: bare_master.py PORT CALLS
POST /command with a JSON document of Command's fields, or a list of such, sends it down the stream of the agent; CALLS gets one JSON document a call. Status
updates are acknowledged. The messages are encoded here from a table of the fields that these tests use (proto/mete_agent.proto,
proto/mesos.proto): nothing but Python's own library is needed.
"""
import http.server
import json
import queue
import struct
import sys
import threading

VALUE = {"value": (1, "string")}
NUMBER = {"value": (1, "double")}
DURATION = {"nanoseconds": (1, "int")}
RANGE = {"begin": (1, "int"), "end": (2, "int")}
VOLUME = {"mode": (3, "int"), "container_path": (1, "string"), "host_path": (2, "string")}
RESERVATION = {"type": (4, "int"), "role": (3, "string"), "principal": (1, "string")}
RESOURCE = {
    "name": (1, "string"), "type": (2, "int"), "scalar": (3, NUMBER), "ranges": (4, {"range": (1, [RANGE])}), "reservations": (13, [RESERVATION]),
    "disk": (7, {"persistence": (1, {"id": (1, "string"), "principal": (2, "string")}), "volume": (2, VOLUME)}),
}
COMMAND_INFO = {"shell": (6, "bool"), "value": (3, "string"), "user": (5, "string"), "arguments": (7, ["string"])}
HEALTH = {"delay_seconds": (2, "double"), "interval_seconds": (3, "double"), "timeout_seconds": (4, "double"), "consecutive_failures": (5, "int"),
          "grace_period_seconds": (6, "double"), "type": (8, "int"), "command": (7, COMMAND_INFO)}
EXECUTOR = {"type": (15, "int"), "executor_id": (1, VALUE), "framework_id": (8, VALUE), "command": (7, COMMAND_INFO), "resources": (5, [RESOURCE])}
TASK = {"name": (1, "string"), "task_id": (2, VALUE), "agent_id": (3, VALUE), "resources": (4, [RESOURCE]), "executor": (5, EXECUTOR),
        "command": (7, COMMAND_INFO), "health_check": (8, HEALTH), "kill_policy": (12, {"grace_period": (1, DURATION)}),
        "max_completion_time": (14, DURATION)}
FRAMEWORK = {"user": (1, "string"), "name": (2, "string"), "id": (3, VALUE), "checkpoint": (5, "bool")}
OF_TASK = {"framework_id": (1, VALUE), "task_id": (2, VALUE)}
COMMAND = {
    "type": (1, "int"), "epoch": (2, "int"),
    "subscribed": (3, {"agent_id": (1, VALUE), "stream_id": (2, "string"), "ping_interval_ms": (3, "int"), "usage_interval_ms": (4, "int")}),
    "launch": (4, {"framework": (1, FRAMEWORK), "task": (2, TASK), "isolation": (3, {"rootfs": (1, "string"), "user": (4, "string")}), "skip_starting": (4, "bool")}),
    "kill": (5, {**OF_TASK, "grace_seconds": (3, "double"), "signal": (4, "int"), "only_signal": (5, "bool")}),
    "acknowledge": (6, {**OF_TASK, "uuid": (3, "bytes")}),
    "suspend": (12, {**OF_TASK, "suspended": (3, "bool"), "sequence": (4, "int")}),
    "assign": (13, {"version": (1, "int"), "resources": (2, [RESOURCE])}),
}
STATUS = {"task_id": (1, VALUE), "state": (2, "int"), "message": (4, "string"), "uuid": (11, "bytes"), "healthy": (8, "bool"), "reason": (10, "int")}
REPORT = {"framework_id": (1, VALUE), "task": (2, {"task_id": (2, VALUE)}), "state": (3, "int"), "suspended": (12, "bool"), "suspend_sequence": (13, "int")}
CALL = {
    "type": (1, "int"), "agent_id": (2, VALUE), "stream_id": (3, "string"),
    "subscribe": (4, {"agent_info": (1, {"hostname": (1, "string"), "id": (6, VALUE), "resources": (3, [RESOURCE])}), "tasks": (4, [REPORT])}),
    "update": (5, {"framework_id": (1, VALUE), "status": (2, STATUS), "exit_code": (3, "int"), "sandbox": (5, "string")}),
    "usage": (6, {"rows": (1, [{"task_id": (3, VALUE)}])}),
    "suspended": (9, {**OF_TASK, "suspended": (3, "bool"), "sequence": (4, "int"), "error": (5, "string"), "usage": (6, {"cpu_usage_seconds": (1, "double")})}),
    "assigned": (10, {"version": (1, "int"), "errors": (2, ["string"])}),
}
TYPES = {1: "SUBSCRIBE", 2: "UPDATE", 3: "USAGE", 4: "PONG", 5: "UNREGISTER", 6: "MESSAGE", 7: "EXECUTOR_EXITED", 8: "SUSPENDED", 9: "ASSIGNED"}
COMMANDS = {"subscribed": 1, "launch": 2, "kill": 3, "acknowledge": 4, "suspend": 12, "assign": 13}


def varint(n):
    out = b""
    while True:
        out += bytes([n & 0x7F | (0x80 if n > 0x7F else 0)])
        n >>= 7
        if not n:
            return out


def field(number, kind, value):
    if kind in ("int", "bool"):
        return varint(number << 3) + varint(int(value))
    if kind == "double":
        return varint(number << 3 | 1) + struct.pack("<d", value)
    data = encode(kind, value) if isinstance(kind, dict) else bytes.fromhex(value) if kind == "bytes" else value.encode()
    return varint(number << 3 | 2) + varint(len(data)) + data


def encode(schema, message):
    out = b""
    for name, value in message.items():
        number, kind = schema[name]
        for item in value if isinstance(kind, list) else [value]:
            out += field(number, kind[0] if isinstance(kind, list) else kind, item)
    return out


def read_varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift, more = at + 1, shift + 7, data[at] & 0x80
        if not more:
            return value, at


def decode(schema, data):
    """Fields that the schema does not name are skipped."""
    names = {number: (name, kind) for name, (number, kind) in schema.items()}
    message, at = {}, 0
    while at < len(data):
        key, at = read_varint(data, at)
        wire = key & 7
        if wire == 0:
            raw, at = read_varint(data, at)
        elif wire == 2:
            length, at = read_varint(data, at)
            raw, at = data[at:at + length], at + length
        else:
            length = 8 if wire == 1 else 4
            raw, at = data[at:at + length], at + length
        name, kind = names.get(key >> 3, (None, None))
        if name is None:
            continue
        one = kind[0] if isinstance(kind, list) else kind
        if isinstance(one, dict):
            raw = decode(one, raw)
        elif one == "string":
            raw = raw.decode()
        elif one == "bytes":
            raw = raw.hex()
        elif one == "bool":
            raw = bool(raw)
        elif one == "double":
            raw = struct.unpack("<d", raw)[0]
        if isinstance(kind, list):
            message.setdefault(name, []).append(raw)
        else:
            message[name] = raw
    return message


class Master:
    def __init__(self, calls):
        self.calls = open(calls, "a", buffering=1)
        self.lock = threading.Lock()
        self.stream = None  # queue of the agent's current stream
        self.streams = 0

    def send(self, *messages):
        """Several go down in one piece: the agent has the next before the first is done."""
        records = b""
        for message in messages:
            (name,) = message
            record = encode(COMMAND, {"type": COMMANDS[name], "epoch": 1, name: message[name]})
            records += f"{len(record)}\n".encode() + record
        self.stream.put(records)

    def called(self, call):
        with self.lock:
            self.calls.write(json.dumps({"call": TYPES.get(call["type"], "?"), **call}) + "\n")
        update = call.get("update", {})
        if "uuid" in update.get("status", {}):
            self.send({"acknowledge": {"framework_id": update["framework_id"], "task_id": update["status"]["task_id"], "uuid": update["status"]["uuid"]}})


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/command":
            commands = json.loads(body)
            MASTER.send(*(commands if isinstance(commands, list) else [commands]))
            return self.answer(202)
        call = decode(CALL, body)
        if call["type"] == 1:
            return self.subscribe(call)
        MASTER.called(call)
        return self.answer(202)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def subscribe(self, call):
        stream = queue.Queue()
        MASTER.streams += 1
        agent = call["subscribe"]["agent_info"].get("id", {"value": "00000000-0000-4000-8000-000000000000-S0"})
        MASTER.stream = stream
        MASTER.send({"subscribed": {"agent_id": agent, "stream_id": f"s{MASTER.streams}", "ping_interval_ms": 3600000, "usage_interval_ms": 1000}})
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        MASTER.called(call)
        while MASTER.stream is stream:
            records = stream.get()
            try:
                self.wfile.write(f"{len(records):x}\r\n".encode() + records + b"\r\n")
                self.wfile.flush()
            except OSError:
                return


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


MASTER = Master(sys.argv[2])
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()

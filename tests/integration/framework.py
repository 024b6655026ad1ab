"""A framework for the tests, in the fewest words: `framework.py scheduler MASTER EVENTS CALLS` and `framework.py executor`, JSON over HTTP.

The scheduler appends each event to the file EVENTS, a line each, and makes calls of the lines that appear in CALLS: a call as the API
has it (framework_id and agent_id are filled in), {"launch": [TaskInfo...]} or {"launch_group": {...}} into the next offer, {"operations": [...]} into
the newest, {"hold": true} to acknowledge nothing from then on. Words after that: "volatile" (does not checkpoint), "old" (knows no partitions),
"failover=SECONDS", "id=FRAMEWORK" (comes back under it), "role=NAME", "regions" (knows of them). The executor does what tasks' data and messages say: see class Executor.
"""
import base64
import http.client
import json
import os
import queue
import signal
import socket
import sys
import threading
import time
import uuid


def records(response):
    """Records of a RecordIO stream, decoded, until it ends."""
    while True:
        length = b""
        while not length.endswith(b"\n"):
            byte = response.read(1)
            if not byte:
                return
            length += byte
        yield json.loads(response.read(int(length)))


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def connect(where):
    return UnixConnection(where) if where.startswith("/") else http.client.HTTPConnection(where)


def post(connection, path, body, headers=()):
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", "Accept": "application/json", **dict(headers)})
    return connection.getresponse()


class Scheduler:
    def __init__(self, master, events, calls):
        self.master, self.events, self.calls = master, events, calls
        self.hold = False
        self.lock = threading.Lock()
        self.offers = queue.Queue()

    def call(self, body):
        body["framework_id"] = {"value": self.id}
        with self.lock:
            connection = connect(self.master)
            answer = post(connection, "/api/v1/scheduler", body, [("Mesos-Stream-Id", self.stream)])
            text = answer.read().decode()
            if answer.status not in (200, 202):
                self.note({"type": "REFUSED", "status": answer.status, "text": text})

    def note(self, event):
        with open(self.events, "a") as f:
            f.write(json.dumps(event) + "\n")

    def launch(self, line):
        offer = self.offers.get()
        while not all(any(r["name"] == name and r["scalar"]["value"] > least for r in offer["resources"]) for name, least in (("cpus", 0.5), ("mem", 1000))):
            # What one task left over: back to where it becomes one with the rest.
            self.call({"type": "DECLINE", "decline": {"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 0}}})
            offer = self.offers.get()
        agent = offer["agent_id"]
        if "launch_group" in line:
            operation = {"type": "LAUNCH_GROUP", "launch_group": line["launch_group"]}
            tasks = operation["launch_group"]["task_group"]["tasks"]
        else:
            operation = {"type": "LAUNCH", "launch": {"task_infos": line["launch"]}}
            tasks = line["launch"]
        for task in tasks:
            task["agent_id"] = agent
        self.call({"type": "ACCEPT", "accept": {"offer_ids": [offer["id"]], "operations": [operation], "filters": {"refuse_seconds": 0}}})

    def operate(self, operations):
        offer = self.offers.get()
        while not self.offers.empty():
            offer = self.offers.get()
        for operation in operations:
            for task in operation.get("launch", {}).get("task_infos", []):
                task["agent_id"] = offer["agent_id"]
        self.call({"type": "ACCEPT", "accept": {"offer_ids": [offer["id"]], "operations": operations, "filters": {"refuse_seconds": 0}}})

    def obey(self):
        done = 0
        while True:
            lines = open(self.calls).read().split("\n")[:-1] if os.path.exists(self.calls) else []
            for line in map(json.loads, lines[done:]):
                done += 1
                if "launch" in line or "launch_group" in line:
                    self.launch(line)
                elif "operations" in line:
                    self.operate(line["operations"])
                elif "hold" in line:
                    self.hold = line["hold"]
                    self.note({"type": "HELD"})
                else:
                    for part in line.values():
                        if isinstance(part, dict) and part.get("agent_id") == "AGENT":
                            part["agent_id"] = self.agent
                    self.call(line)
            time.sleep(0.02)

    def on(self, event):
        self.note(event)
        if event["type"] == "OFFERS":
            for offer in event["offers"]["offers"]:
                self.agent = offer["agent_id"]
                self.offers.put(offer)
        elif event["type"] == "RESCIND":
            while not self.offers.empty():
                self.offers.get()
        elif event["type"] == "UPDATE" and "uuid" in event["update"]["status"] and not self.hold:
            s = event["update"]["status"]
            self.call({"type": "ACKNOWLEDGE", "acknowledge": {"agent_id": s["agent_id"], "task_id": s["task_id"], "uuid": s["uuid"]}})

    def run(self, words):
        options = dict(word.split("=", 1) for word in words if "=" in word)
        capabilities = ["MULTI_ROLE", "RESERVATION_REFINEMENT"] + ([] if "old" in words else ["PARTITION_AWARE"]) + (["REGION_AWARE"] if "regions" in words else [])
        info = {"user": "nobody", "name": "test", "roles": [options.get("role", "*")], "checkpoint": "volatile" not in words,
                "failover_timeout": float(options.get("failover", 3600)), "capabilities": [{"type": c} for c in capabilities]}
        body = {"type": "SUBSCRIBE", "subscribe": {"framework_info": info}}
        if "id" in options:
            body["framework_id"] = info["id"] = {"value": options["id"]}
        answer = post(connect(self.master), "/api/v1/scheduler", body)
        self.stream = answer.getheader("Mesos-Stream-Id")
        for event in records(answer):
            if event["type"] == "SUBSCRIBED":
                self.id = event["subscribed"]["framework_id"]["value"]
                threading.Thread(target=self.obey, daemon=True).start()
            self.on(event)


class Executor:
    """Task data: "stay", "finish", "die", "await" (the file TASK.go in the sandbox). Messages: "finish TASK", "exit N", "eat MIB", "free", "look FILE" (what it sees of itself), "deaf" (ends at no
    SHUTDOWN), anything else comes back."""

    def __init__(self):
        env = os.environ
        self.where = env["MESOS_DOMAIN_SOCKET"] if "unix" in sys.argv else env["MESOS_AGENT_ENDPOINT"]
        self.token = [("Authorization", "Bearer " + env["MESOS_EXECUTOR_AUTHENTICATION_TOKEN"])] if "MESOS_EXECUTOR_AUTHENTICATION_TOKEN" in env else []
        self.ids = {"framework_id": {"value": env["MESOS_FRAMEWORK_ID"]}, "executor_id": {"value": env["MESOS_EXECUTOR_ID"]}}
        self.tasks, self.updates = {}, {}
        self.eaten, self.deaf = [], False

    def call(self, body):
        connection = connect(self.where)
        answer = post(connection, "/api/v1/executor", {**self.ids, **body}, self.token)
        answer.read()
        connection.close()
        self.log("%s %s" % (body["type"], answer.status))

    def log(self, text):
        with open(os.environ["MESOS_SANDBOX"] + "/log", "a") as f:
            f.write(text + "\n")

    def update(self, task, state):
        u = uuid.uuid4().bytes
        status = {"task_id": {"value": task}, "state": state, "source": "SOURCE_EXECUTOR", "uuid": base64.b64encode(u).decode(), **{"executor_id": self.ids["executor_id"]}}
        self.updates[status["uuid"]] = {"status": status}
        try:
            self.call({"type": "UPDATE", "update": {"status": status}})
        except (OSError, http.client.HTTPException) as e:
            self.log("not told: %s" % e)  # told again with the next subscription

    def launch(self, task):
        name = task["task_id"]["value"]
        self.log("launch " + name)
        self.tasks[name] = task
        what = base64.b64decode(task.get("data", "")).decode()
        if what == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        self.update(name, "TASK_RUNNING")
        if what == "finish":
            self.update(name, "TASK_FINISHED")
        if what == "await":
            threading.Thread(target=self.finish_on, args=(name,), daemon=True).start()

    def finish_on(self, name):
        while not os.path.exists(os.environ["MESOS_SANDBOX"] + "/" + name + ".go"):
            time.sleep(0.02)
        self.update(name, "TASK_FINISHED")

    def message(self, text):
        word, _, rest = text.partition(" ")
        if word == "finish":
            self.update(rest, "TASK_FINISHED")
        elif word == "exit":
            os._exit(int(rest))
        elif word == "eat":
            self.eaten.append(bytearray(b"x") * (int(rest) << 20))
        elif word == "free":
            self.eaten.clear()
        elif word == "deaf":
            self.deaf = True
        elif word == "look":
            with open(os.environ["MESOS_SANDBOX"] + "/" + rest, "w") as f:
                f.write(open("/proc/self/status").read())
                for name in os.listdir("/proc/self/ns"):
                    f.write("ns %s\n" % os.readlink("/proc/self/ns/" + name))
                for pair in os.environ.items():
                    f.write("env %s=%s\n" % pair)
        else:
            self.call({"type": "MESSAGE", "message": {"data": base64.b64encode(text.encode()).decode()}})

    def on(self, event):
        kind = event["type"]
        self.log("event " + kind)
        if kind == "LAUNCH":
            self.launch(event["launch"]["task"])
        elif kind == "LAUNCH_GROUP":
            for task in event["launch_group"]["task_group"]["tasks"]:
                self.launch(task)
        elif kind == "ACKNOWLEDGED":
            self.updates.pop(event["acknowledged"]["uuid"], None)
            self.tasks.pop(event["acknowledged"]["task_id"]["value"], None)
        elif kind == "KILL":
            self.log("kill " + json.dumps(event["kill"]))
            self.update(event["kill"]["task_id"]["value"], "TASK_KILLED")
        elif kind == "MESSAGE":
            self.message(base64.b64decode(event["message"]["data"]).decode())
        elif kind == "SHUTDOWN" and not self.deaf:
            os._exit(0)

    def run(self):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                body = {"type": "SUBSCRIBE", "subscribe": {"unacknowledged_tasks": list(self.tasks.values()), "unacknowledged_updates": list(self.updates.values())}}
                answer = post(connect(self.where), "/api/v1/executor", {**self.ids, **body}, self.token)
                self.log("SUBSCRIBE %s" % answer.status)
                for event in records(answer):
                    end = time.monotonic() + 60
                    self.on(event)
            except (OSError, http.client.HTTPException) as e:
                self.log("lost %s" % e)
            if os.environ["MESOS_CHECKPOINT"] != "1":
                return
            time.sleep(0.05)


if sys.argv[1] == "scheduler":
    Scheduler(*sys.argv[2:5]).run(sys.argv[5:])
else:
    Executor().run()

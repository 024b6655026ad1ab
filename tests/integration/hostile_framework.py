"""Frameworks that mean harm: `hostile_framework.py MASTER ATTACK [ARGUMENT...]` prints what became of it, a line each; `hostile_framework.py executor` is one of theirs."""
import base64
import http.client
import json
import os
import socket
import sys
import threading
import time
import uuid

sys.dont_write_bytecode = True


def post(where, path, body, headers=(), kind="application/json"):
    connection = http.client.HTTPConnection(where, timeout=60)
    data = body if isinstance(body, (bytes, str)) else json.dumps(body)
    connection.request("POST", path, data, {"Content-Type": kind, "Accept": "application/json", **dict(headers)})
    return connection.getresponse()


class Framework:
    def __init__(self, master, **info):
        self.master = master
        self.info = {"user": "nobody", "name": "hostile", "checkpoint": True, "failover_timeout": 3600.0, **info}
        body = {"type": "SUBSCRIBE", "subscribe": {"framework_info": self.info}}
        if "id" in self.info:
            body["framework_id"] = self.info["id"]
        self.answer = post(master, "/api/v1/scheduler", body)
        self.stream = self.answer.getheader("Mesos-Stream-Id")
        self.first = self.event()
        self.id = self.first.get("subscribed", {}).get("framework_id", {}).get("value")

    def event(self):
        length = b""
        while not length.endswith(b"\n"):
            byte = self.answer.read(1)
            if not byte:
                return {"type": "END"}
            length += byte
        return json.loads(self.answer.read(int(length)))

    def wait(self, kind, task=None, state=None):
        while True:
            event = self.event()
            status = event.get("update", {}).get("status", {})
            if event["type"] == "END" or (event["type"] == kind and (task is None or status["task_id"]["value"] == task) and (not state or status["state"] == state)):
                return event

    def call(self, body, framework=None, stream=None):
        body = {"framework_id": {"value": framework or self.id}, **body}
        answer = post(self.master, "/api/v1/scheduler", body, [("Mesos-Stream-Id", stream or self.stream)])
        answer.read()
        return answer.status

    def offer(self):
        while True:
            for offer in self.wait("OFFERS").get("offers", {}).get("offers", []):
                if any(r["name"] == "mem" and r["scalar"]["value"] > 200 for r in offer["resources"]):
                    return offer
                self.call({"type": "DECLINE", "decline": {"offer_ids": [offer["id"]]}})

    def launch(self, *tasks, **more):
        offer = self.offer()
        for task in tasks:
            task["agent_id"] = offer["agent_id"]
        return self.call({"type": "ACCEPT", "accept": {"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 0}, **more,
                                                       "operations": [{"type": "LAUNCH", "launch": {"task_infos": list(tasks)}}]}})

    def acknowledge(self, event):
        s = event["update"]["status"]
        if "uuid" in s:
            self.call({"type": "ACKNOWLEDGE", "acknowledge": {"agent_id": s["agent_id"], "task_id": s["task_id"], "uuid": s["uuid"]}})

    def outcome(self, task):
        """Of one task that is to be refused."""
        name = task["task_id"]["value"]
        self.launch(task)
        s = self.wait("UPDATE", name)["update"]["status"]
        say(s["state"], s.get("reason"), s.get("message", "").split(":")[0].split(" has")[0])


def say(*words):
    print(*words, flush=True)


def resources(cpus=0.1, mem=32):
    return [{"name": n, "type": "SCALAR", "scalar": {"value": v}} for n, v in (("cpus", cpus), ("mem", mem))]


def task(name, command="sleep 1000", **more):
    return {"name": "t", "task_id": {"value": name}, "resources": resources(), "command": {"value": command}, **more}


def executor_task(name, executor, how, **more):
    x = {"executor_id": {"value": executor}, "type": "CUSTOM", "command": {"value": "exec python3 %s executor %s" % (os.path.abspath(__file__), how)}, "resources": resources(), **more}
    return {"name": "t", "task_id": {"value": name}, "resources": resources(), "executor": x}


def rights(master):
    say(Framework(master, user="root").first.get("error", {}).get("message", "taken").split(":")[0])
    f = Framework(master)
    linux = {"effective_capabilities": {"capabilities": ["SYS_ADMIN", "DAC_OVERRIDE"]}}
    f.outcome(task("caps", container={"type": "MESOS", "linux_info": linux}))
    f.outcome(task("bounding", container={"type": "MESOS", "linux_info": {"bounding_capabilities": linux["effective_capabilities"]}}))
    f.outcome(task("rtprio", container={"type": "MESOS", "rlimit_info": {"rlimits": [{"type": "RLMT_RTPRIO", "soft": 99, "hard": 99}]}}))
    f.outcome(executor_task("x", "x", "", container={"type": "MESOS", "linux_info": linux}))
    root = task("root")
    root["command"]["user"] = "root"
    f.outcome(root)
    f.call({"type": "TEARDOWN"})


def others(master, victim, stream, victim_task, agent):
    """What a framework of nobody can do to one of root's whose ids it knows."""
    say(Framework(master, id={"value": victim}).first["error"]["message"].split(":")[0])
    say(Framework(master, id={"value": victim}, user="root").first["error"]["message"].split(":")[0])
    f = Framework(master)
    ids = {"agent_id": {"value": agent}, "task_id": {"value": victim_task}}
    say(f.call({"type": "KILL", "kill": ids}, framework=victim), f.call({"type": "TEARDOWN"}, framework=victim), f.call({"type": "TEARDOWN"}, framework=victim, stream=stream.upper()))
    say(f.call({"type": "KILL", "kill": ids}), f.wait("UPDATE", victim_task)["update"]["status"]["state"])
    for body in ({"type": "SHUTDOWN", "shutdown": {"executor_id": {"value": victim_task}, "agent_id": {"value": agent}}},
                 {"type": "MESSAGE", "message": {"executor_id": {"value": victim_task}, "agent_id": {"value": agent}, "data": "eA=="}},
                 {"type": "ACKNOWLEDGE", "acknowledge": {**ids, "uuid": base64.b64encode(uuid.uuid4().bytes).decode()}}):
        say(body["type"], f.call(body))
    f.call({"type": "TEARDOWN"})


def absurd(master):
    f = Framework(master)
    many = [{"value": "%s-O%d" % (f.id, i)} for i in range(100000)]
    say("offers", f.call({"type": "ACCEPT", "accept": {"offer_ids": many, "operations": []}}), f.call({"type": "DECLINE", "decline": {"offer_ids": many}}))
    say("reconcile", f.call({"type": "RECONCILE", "reconcile": {"tasks": [{"task_id": {"value": "t%d" % i}} for i in range(20000)]}}))
    for name in ("a/b", "..", "a\nb", "x" * 4096, ""):
        f.outcome(task(name))
    for cpus in (-1, 1e300, 1e-9):
        f.outcome(task("cpus", resources=resources(cpus=cpus)))
    for body in ("[" * 100000, '{"a":' * 100000, "{}", "\0", '{"type":"ACCEPT"}', '{"type":99999}'):
        say(post(master, "/api/v1/scheduler", body, [("Mesos-Stream-Id", f.stream)]).status)
    # type 17 = 0x11: an operation of a type that there is not, launches without anything, truncated lengths
    for body in (b"\x12\xff\xff\xff\xff\x7f", b"\x08\x03\x2a\x7f", b"\x0a\x00" * 100000):
        say(post(master, "/api/v1/scheduler", body, [("Mesos-Stream-Id", f.stream)], kind="application/x-protobuf").status)
    say(post(master, "/api/v1/scheduler", b"x" * (17 << 20), [("Mesos-Stream-Id", f.stream)]).status)
    f.call({"type": "TEARDOWN"})


def large(master):
    f = Framework(master)
    f.outcome(task("large", data=base64.b64encode(b"x" * (9 << 20)).decode()))
    say(Framework(master, labels={"labels": [{"key": "k", "value": "v" * (2 << 20)}]}).first["error"]["message"].split(" has")[0])
    f.launch(executor_task("deaf", "deaf", "deaf"))
    running = f.wait("UPDATE", "deaf", "TASK_RUNNING")
    f.acknowledge(running)
    data = base64.b64encode(b"x" * (3 << 20)).decode()
    agent = running["update"]["status"]["agent_id"]
    body = {"type": "MESSAGE", "message": {"executor_id": {"value": "deaf"}, "agent_id": agent, "data": data}}
    threads = [threading.Thread(target=f.call, args=(body,)) for _ in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    say("sent")
    f.call({"type": "TEARDOWN"})


def flood(master, how):
    f = Framework(master)
    f.launch(executor_task(how, how, how))
    say(f.wait("UPDATE", how, "TASK_RUNNING")["update"]["status"]["state"])  # never acknowledged
    try:
        sys.stdin.read()
    finally:
        f.call({"type": "TEARDOWN"})


def liar(master):
    f = Framework(master)
    f.launch(executor_task("honest", "honest", "wait"), executor_task("liar", "liar", "liar"))
    while True:
        event = f.wait("UPDATE")
        f.acknowledge(event)
        s = event["update"]["status"]
        if s["task_id"]["value"] == "liar" and s["state"] != "TASK_RUNNING":
            break
    say(base64.b64decode(s.get("data", "")).decode(), s["state"])
    f.call({"type": "TEARDOWN"})


def crowd(master, count):
    streams, body = [], {"type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": "nobody", "name": "crowd", "failover_timeout": 9e9}}}
    host, port = master.split(":")
    text = json.dumps(body).encode()
    head = b"POST /api/v1/scheduler HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nAccept: application/json\r\nContent-Length: %d\r\n\r\n" % (host.encode(), len(text))
    for _ in range(int(count)):
        s = socket.create_connection((host, int(port)))
        s.sendall(head + text)
        s.recv(4096)
        s.close()
    say(Framework(master).first.get("error", {}).get("message", "taken").split(":")[0])


def enter(master):
    say(Framework(master, user="root").first["type"])


def page(master):
    body = {"type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": "root", "name": "page"}}}
    for headers, kind in (([("Host", "evil.example:80")], "application/json"), ([("Origin", "http://evil.example"), ("Sec-Fetch-Site", "cross-site")], "text/plain")):
        say(post(master, "/api/v1/scheduler", body, headers, kind).status)


# ---- an executor ----

class Executor:
    def __init__(self):
        env = os.environ
        self.where = env["MESOS_AGENT_ENDPOINT"]
        self.token = [("Authorization", "Bearer " + env["MESOS_EXECUTOR_AUTHENTICATION_TOKEN"])] if "MESOS_EXECUTOR_AUTHENTICATION_TOKEN" in env else []
        self.framework, self.id = env["MESOS_FRAMEWORK_ID"], env["MESOS_EXECUTOR_ID"]

    def call(self, body, framework=None, executor=None, token=None, **more):
        body = {"framework_id": {"value": framework or self.framework}, "executor_id": {"value": executor or self.id}, **body}
        answer = post(self.where, "/api/v1/executor", body, self.token if token is None else token, **more)
        if answer.getheader("Transfer-Encoding") != "chunked":
            answer.read()
        return answer

    def update(self, name, state, **more):
        status = {"task_id": {"value": name}, "state": state, "source": "SOURCE_EXECUTOR", "uuid": base64.b64encode(uuid.uuid4().bytes).decode(), **more}
        return self.call({"type": "UPDATE", "update": {"status": status}}).status

    def subscribe(self, **more):
        return self.call({"type": "SUBSCRIBE", "subscribe": {}}, **more)

    def run(self, how):
        stream = self.subscribe()
        self.update(self.id, "TASK_RUNNING")
        data = base64.b64encode(b"x" * (1 << 20)).decode()
        if how == "updates":
            for _ in range(100):
                self.update(self.id, "TASK_RUNNING", data=data)
            open(os.environ["MESOS_SANDBOX"] + "/done", "w").close()
        elif how == "messages":
            while not os.path.exists(os.environ["MESOS_SANDBOX"] + "/go"):
                time.sleep(0.02)
            for _ in range(100):
                self.call({"type": "MESSAGE", "message": {"data": data}})
            open(os.environ["MESOS_SANDBOX"] + "/done", "w").close()
        elif how == "liar":
            self.lie()
        time.sleep(1000)
        return stream

    def lie(self):
        told = [self.subscribe(executor="honest").status,
                self.call({"type": "UPDATE", "update": {"status": {"task_id": {"value": "honest"}, "state": "TASK_FINISHED", "source": "SOURCE_EXECUTOR",
                                                                   "uuid": base64.b64encode(uuid.uuid4().bytes).decode()}}}, executor="honest").status,
                self.subscribe(framework="x/../y").status, self.subscribe(executor="a\nb").status, self.subscribe(executor="nothing").status,
                self.update("honest", "TASK_FINISHED"), self.update(self.id, "TASK_STAGING"), self.update(self.id, "TASK_RUNNING", agent_id={"value": "other"}),
                self.call({"type": "UPDATE", "update": {"status": {"task_id": {"value": self.id}, "state": "TASK_RUNNING", "source": "SOURCE_EXECUTOR", "uuid": "eA=="}}}).status]
        if os.fork() == 0:  # whoever it leaves behind is in the same container, and no more than it
            for _ in range(50):
                self.subscribe()
            os._exit(0)
        os.wait()
        stream = self.subscribe()
        self.update(self.id, "TASK_FINISHED", data=base64.b64encode(" ".join(map(str, told)).encode()).decode(), message="\n\x1b[2J", timestamp=-1e308)
        return stream


if sys.argv[1] == "executor":
    Executor().run(*(sys.argv[2:3] or [""]))
else:
    {k: v for k, v in globals().items() if callable(v)}[sys.argv[2]](sys.argv[1], *sys.argv[3:])

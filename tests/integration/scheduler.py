#!/usr/bin/env python3
"""A framework for one task, over the Mesos v1 scheduler API: scheduler.py HOST:PORT TASK.json [ACTION...]

Launches the task on the first offer, prints each of its statuses as a line of JSON, acknowledges it, and ends after a terminal one.
ACTION is "STATE=CALL": when a status of that state comes for the first time, the body of the call is sent ("kill:{...}" as JSON).
STATE may be a path instead: the call is sent once there is such a file.
"""
import http.client
import json
import os
import sys
import threading
import time

TERMINAL = {"TASK_" + s for s in "FINISHED FAILED KILLED ERROR LOST DROPPED GONE GONE_BY_OPERATOR".split()}


class Scheduler:
    def __init__(self, address):
        self.address = address
        self.stream_id = self.framework = None

    def subscribe(self):
        connection = http.client.HTTPConnection(self.address, timeout=120)
        info = {"user": "nobody", "name": "test", "roles": ["*"], "checkpoint": True, "failover_timeout": 3600.0,
                "capabilities": [{"type": "MULTI_ROLE"}, {"type": "TASK_KILLING_STATE"}, {"type": "PARTITION_AWARE"}]}
        body = json.dumps({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}})
        connection.request("POST", "/api/v1/scheduler", body, {"Content-Type": "application/json", "Accept": "application/json"})
        self.response = connection.getresponse()
        assert self.response.status == 200, self.response.read()
        self.stream_id = self.response.getheader("Mesos-Stream-Id")

    def event(self):
        length = b""
        while True:
            c = self.response.read(1)
            if not c:
                raise SystemExit("the stream ended")
            if c == b"\n":
                break
            length += c
        return json.loads(self.response.read(int(length)))

    def call(self, kind, body=None):
        connection = http.client.HTTPConnection(self.address, timeout=60)
        call = {"type": kind, "framework_id": self.framework}
        if body is not None:
            call[kind.lower()] = body
        connection.request("POST", "/api/v1/scheduler", json.dumps(call),
                           {"Content-Type": "application/json", "Mesos-Stream-Id": self.stream_id})
        answer = connection.getresponse()
        assert answer.status == 202, (kind, answer.status, answer.read())


def accept(s, task, offer):
    task.setdefault("name", "test")
    task["agent_id"] = offer["agent_id"]
    task.setdefault("resources", [{"name": n, "type": "SCALAR", "scalar": {"value": v}} for n, v in (("cpus", 0.1), ("mem", 64))])
    s.call("ACCEPT", {"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 3600},
                      "operations": [{"type": "LAUNCH", "launch": {"task_infos": [task]}}]})


def act(s, action):
    kind, body = action.split(":", 1)
    s.call(kind.upper(), json.loads(body))


def act_on_file(s, path, action):
    while not os.path.exists(path):
        time.sleep(0.02)
    act(s, action)


def main():
    s, task = Scheduler(sys.argv[1]), json.load(open(sys.argv[2]))
    actions = [a.split("=", 1) for a in sys.argv[3:]]
    launched = False
    s.subscribe()
    while True:
        event = s.event()
        if event["type"] == "SUBSCRIBED":
            s.framework = event["subscribed"]["framework_id"]
            for path, action in [a for a in actions if a[0].startswith("/")]:
                threading.Thread(target=act_on_file, args=(s, path, action), daemon=True).start()
        elif event["type"] == "OFFERS" and not launched:
            launched = True
            accept(s, task, event["offers"]["offers"][0])
        elif event["type"] == "UPDATE":
            status = event["update"]["status"]
            print(json.dumps(status), flush=True)
            if "uuid" in status:
                s.call("ACKNOWLEDGE", {"agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": status["uuid"]})
            for action in [a for a in actions if a[0] == status["state"]]:
                actions.remove(action)
                act(s, action[1])
            if status["state"] in TERMINAL:
                s.call("TEARDOWN")
                return
        elif event["type"] == "ERROR":
            raise SystemExit(event["error"]["message"])


main()

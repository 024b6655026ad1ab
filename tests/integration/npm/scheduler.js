// Drives mesos-framework, a client of the v1 scheduler API that knows nothing of Mete, against a master: one part of a scenario a run.
//   node scheduler.js PORT launch          subscribes, launches two tasks, kills one, reconciles; prints the framework's id and the
//                                          other's task id, then waits to be failed over ("failed over" when it was told so)
//   node scheduler.js PORT takeover ID TASK   comes back as framework ID, finds TASK running, survives the death of the master (prints
//                                          "ready for the death of the master", waits for a second subscription), kills TASK, tears down
// Every expectation has a deadline; exit status 0 when all held.
"use strict";

const path = require("path");
const {Scheduler, Mesos} = (() => {
    const package_ = require(path.join(process.env.NPM_MODULES, "mesos-framework"));
    return {Scheduler: package_.Scheduler, Mesos: package_.Mesos.getMesos()};
})();

const [port, part, frameworkId, knownTask] = process.argv.slice(2);
const deadline = setTimeout(() => fail("not done in time"), 60000 * Number(process.env.METE_TEST_SLOW || 1));
const updates = [];
const errors = [];
let waiting = [];

function fail(text) {
    process.stdout.write(`FAIL: ${text}\nupdates: ${JSON.stringify(updates.map(u => [u.task_id.value, u.state, u.reason]))}\nerrors: ${JSON.stringify(errors)}\n`);
    process.exit(1);
}
function say(text) {
    process.stdout.write(text + "\n");
}
function look() {
    waiting = waiting.filter(w => {
        const found = w.find();
        if (found) w.resolve(found);
        return !found;
    });
}
// until(find): resolves with the first true answer; looked at after every event.
function until(find) {
    return new Promise(resolve => {
        waiting.push({find, resolve});
        look();
    });
}
const update = (task, state, reason) => updates.find(u => u.task_id.value === task && u.state === state && (!reason || u.reason === reason));

function newScheduler(tasks) {
    const scheduler = new Scheduler({
        masterUrl: "127.0.0.1", port, frameworkName: "npm test", user: "nobody", tasks,
        restartStates: ["TASK_LOST"], frameworkFailoverTimeout: 600,
        exponentialBackoffMinimum: 0.2, exponentialBackoffMaximum: 0.5, masterConnectionTimeout: 30,
        logging: {path: process.env.SCRATCH, fileName: "npm.log", level: "error"}
    });
    // Kept silent on the terminal: what failed is told at the end.
    scheduler.logger.transports.console.silent = true;
    scheduler.subscriptions = 0;
    scheduler.on("subscribed", () => { scheduler.subscriptions++; look(); });
    scheduler.on("update", u => { updates.push(u.status); look(); });
    scheduler.on("error", e => { errors.push(String(e.message || e)); look(); });
    scheduler.on("ready", () => { if (frameworkId) scheduler.frameworkId = frameworkId; scheduler.subscribe(); });
    return scheduler;
}

function sleeper() {
    return {
        priority: 1, instances: 2,
        commandInfo: new Mesos.CommandInfo(null, null, true, "sleep 1000", null, null),
        resources: {cpus: 0.1, mem: 32, ports: 1, disk: 0}
    };
}

async function launch() {
    const s = newScheduler({sleepers: sleeper()});
    await until(() => s.subscriptions === 1);
    const running = await until(() => {
        const ids = [...new Set(updates.filter(u => u.state === "TASK_RUNNING").map(u => u.task_id.value))];
        return ids.length === 2 && ids;
    });
    const [first, second] = running;
    for (const id of running) {
        const u = update(id, "TASK_RUNNING");
        if (!u.uuid || Buffer.from(u.uuid, "base64").length !== 16) fail(`no uuid in ${JSON.stringify(u)}`);
        if (!u.container_status || !u.container_status.container_id.value) fail(`no container in ${JSON.stringify(u)}`);
        if (!update(id, "TASK_STARTING")) fail(`${id} was never starting`);
    }
    const ports = s.launchedTasks.map(t => t.runtimeInfo.network.ports[0]);
    if (ports.length !== 2 || ports[0] === ports[1]) fail(`ports: ${ports}`);

    s.kill(first, update(first, "TASK_RUNNING").agent_id.value);
    await until(() => update(first, "TASK_KILLED"));

    s.reconcile();
    await until(() => update(second, "TASK_RUNNING", "REASON_RECONCILIATION"));
    if (update(first, "TASK_RUNNING", "REASON_RECONCILIATION")) fail("a killed task is reconciled as running");
    s.reconcile("no-such-task", update(second, "TASK_RUNNING").agent_id.value);
    const unknown = await until(() => update("no-such-task", "TASK_LOST", "REASON_RECONCILIATION"));
    if (unknown.uuid) fail("a reconciliation has a uuid");
    if (errors.length) fail("errors");

    say(`framework ${s.frameworkId} task ${second}`);
    await until(() => errors.some(e => /failed over/i.test(e)));
    say("failed over");
}

async function takeover() {
    const s = newScheduler({});
    await until(() => s.subscriptions === 1);
    if (s.frameworkId !== frameworkId) fail(`another framework id: ${s.frameworkId}`);
    s.reconcile();
    await until(() => update(knownTask, "TASK_RUNNING", "REASON_RECONCILIATION"));
    if (errors.length) fail("errors");

    say("ready for the death of the master");
    // This client does not notice a stream that is cut off: what watches it subscribes again, as its own code does after an orderly end.
    await new Promise(resolve => s.httpRequest.once("close", resolve));
    const again = setInterval(() => {
        if (s.subscriptions >= 2) return;
        delete s.requestTemplate.headers["mesos-stream-id"];
        s.subscribe();
    }, 500);
    await until(() => s.subscriptions >= 2);
    clearInterval(again);
    updates.length = 0;
    // Its agent comes back within moments; until then the master is silent about the task.
    const ask = setInterval(() => s.reconcile(knownTask, "any"), 300);
    const back = await until(() => update(knownTask, "TASK_RUNNING", "REASON_RECONCILIATION"));
    clearInterval(ask);

    s.kill(knownTask, back.agent_id.value);
    await until(() => update(knownTask, "TASK_KILLED"));
    await new Promise(resolve => { s.once("sent_teardown", resolve); s.teardown(); });
    say("torn down");
}

({launch, takeover})[part]().then(() => {
    clearTimeout(deadline);
    process.exit(0);
}, e => fail(e.stack));

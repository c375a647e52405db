# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The brokers that are compared, each with how it is configured and started."""

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass, field

import proc

MOSQUITTO_COMMON = """\
listener {port} 127.0.0.1
allow_anonymous true
log_type error
log_dest stderr
max_queued_messages 0
max_inflight_messages 100
"""


@dataclass
class Program:
    """One line of the tables.

    `scale` makes the number of messages smaller for a program that is slow by nature, `keeps` says
    whether a restart finds what was queued, `safe` whether acknowledged messages survive kill -9,
    `retained_by_wildcard` whether a subscription with a wildcard gets retained messages.
    """
    name: str
    title: str
    keeps: bool = True
    safe: bool = False
    scale: float = 1.0
    qos_max: int = 2
    retained_by_wildcard: bool = True

    def missing(self, tools):
        """Why it cannot be run here, or None."""
        raise NotImplementedError

    def command(self, tools, folder, port):
        """Writes the configuration; returns the arguments and the environment."""
        raise NotImplementedError

    def store(self, folder):
        return os.path.join(folder, "store")

    def ended(self):
        """Cleans up what the end of the process left behind."""


@dataclass
class Mosquitto(Program):
    config: str = ""
    plugin: str = ""  # a format with the tools' paths

    def missing(self, tools):
        if not os.access(tools.mosquitto, os.X_OK):
            return f"{tools.mosquitto} is not there"
        plugin = self.plugin.format(**vars(tools))
        if plugin and not os.path.exists(plugin):
            return f"{plugin} is not there"
        return None

    def command(self, tools, folder, port):
        store = self.store(folder)
        os.makedirs(store, mode=0o700, exist_ok=True)
        text = MOSQUITTO_COMMON.format(port=port)
        if os.getuid() == 0:
            text += "user root\n"
        if self.plugin:
            text += f"plugin {self.plugin.format(**vars(tools))}\n"
        text += self.config.format(store=store)
        path = os.path.join(folder, "mosquitto.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return [tools.mosquitto, "-c", path], {}


SQLITE = "{mosquitto_prefix}/lib/mosquitto_persist_sqlite.so"
LMDB = "{build_dir}/plugin/mosquitto_persist_lmdb.so"


@dataclass
class Nats(Program):
    def missing(self, tools):
        return None if shutil.which(tools.nats) else "nats-server is not installed"

    def command(self, tools, folder, port):
        store = self.store(folder)
        os.makedirs(store, mode=0o700, exist_ok=True)
        path = os.path.join(folder, "nats.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'server_name: bench\nlisten: "127.0.0.1:{proc.port_free()}"\n'
                       f'jetstream {{ store_dir: "{store}", max_mem: 4G, max_file: 64G }}\n'
                       f'mqtt {{ listen: "127.0.0.1:{port}", max_ack_pending: 1000 }}\n'
                       "max_payload: 8MB\n")
        return [shutil.which(tools.nats), "-c", path], {}


@dataclass
class RabbitMq(Program):
    epmd_port: int = field(default_factory=proc.port_free)

    def missing(self, tools):
        return None if os.access(tools.rabbitmq, os.X_OK) else "rabbitmq-server is not installed"

    def command(self, tools, folder, port):
        store = self.store(folder)
        os.makedirs(store, mode=0o700, exist_ok=True)
        files = {
            "rabbitmq.conf": f"listeners.tcp.default = 127.0.0.1:{proc.port_free()}\n"
                             f"mqtt.listeners.tcp.default = 127.0.0.1:{port}\n"
                             "mqtt.allow_anonymous = true\nmqtt.prefetch = 100\n"
                             "mqtt.subscription_ttl = undefined\nlog.console.level = error\n",
            "enabled_plugins": "[rabbitmq_mqtt].\n",
        }
        for name, text in files.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        return [tools.rabbitmq], {
            "HOME": folder,
            "RABBITMQ_NODENAME": "bench@localhost",
            "RABBITMQ_CONFIG_FILE": os.path.join(folder, "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": os.path.join(folder, "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": store,
            "RABBITMQ_LOG_BASE": os.path.join(folder, "rabbitmq-log"),
            "RABBITMQ_PID_FILE": os.path.join(folder, "pid"),
            "RABBITMQ_DIST_PORT": str(proc.port_free()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self.epmd_port),
        }

    def ended(self):
        """Erlang's port mapper outlives the broker that started it."""
        if shutil.which("epmd"):
            subprocess.run(["epmd", "-port", str(self.epmd_port), "-kill"],
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, check=False)


PROGRAMS = [
    Mosquitto("none", "Mosquitto, nothing kept", keeps=False),
    Mosquitto("db", "mosquitto.db", config="persistence true\npersistence_location {store}/\n"),
    Mosquitto("sqlite", "persist-sqlite as shipped", plugin=SQLITE,
              config="persistence_location {store}\n"),
    Mosquitto("sqlite-0", "persist-sqlite, flush_period 0", plugin=SQLITE,
              config="plugin_opt_flush_period 0\npersistence_location {store}\n"),
    Mosquitto("lmdb", "persist-lmdb (sync interval)", plugin=LMDB, safe=True,
              config="plugin_opt_path {store}\n"),
    Mosquitto("lmdb-os", "persist-lmdb, sync os", plugin=LMDB, safe=True,
              config="plugin_opt_path {store}\nplugin_opt_sync os\n"),
    Mosquitto("lmdb-always", "persist-lmdb, sync always", plugin=LMDB, safe=True, scale=0.05,
              config="plugin_opt_path {store}\nplugin_opt_sync always\n"),
    Nats("nats", "NATS JetStream", scale=0.2, qos_max=1),
    RabbitMq("rabbitmq", "RabbitMQ", scale=0.1, qos_max=1, retained_by_wildcard=False),
]


@dataclass
class Tools:
    """Where the programs lie."""
    mosquitto_prefix: str
    build_dir: str
    nats: str = "nats-server"
    rabbitmq: str = "/usr/lib/rabbitmq/bin/rabbitmq-server"
    mosquitto: str = field(init=False)
    load: str = field(init=False)
    disk_baseline: str = field(init=False)
    stall_watch: str = field(init=False)
    store_events: str = field(init=False)

    def __post_init__(self):
        self.mosquitto = f"{self.mosquitto_prefix}/sbin/mosquitto"
        self.load = f"{self.build_dir}/tests/bench/mqtt_load"
        self.disk_baseline = f"{self.build_dir}/tests/bench/disk_baseline"
        self.stall_watch = f"{self.build_dir}/tests/bench/stall_watch"
        self.store_events = f"{self.build_dir}/tests/bench/store_events"


class BrokerFailed(Exception):
    """A broker that did not start or died; says what it wrote last."""


class Broker:
    """A running broker with a folder of its own."""

    def __init__(self, program, tools, folder, prefix=()):
        self.program = program
        self.tools = tools
        self.folder = folder
        self.prefix = list(prefix)
        self.popen = None
        self.port = 0
        self.written = {}
        self.stop_s = 0.0

    def start(self):
        """Starts it; returns at once, with the time of the start on the monotonic clock."""
        os.makedirs(self.folder, exist_ok=True)
        self.port = proc.port_free()
        command, environment = self.program.command(self.tools, self.folder, self.port)
        since_ns = proc.time.monotonic_ns()
        with open(os.path.join(self.folder, "log"), "ab") as log:
            # pylint: disable-next=consider-using-with # it outlives this call
            self.popen = subprocess.Popen(self.prefix + command, stdin=subprocess.DEVNULL,
                                          stdout=log, stderr=log, cwd=self.folder,
                                          env={**os.environ, **environment})
        return since_ns

    @property
    def pid(self):
        """Of the process that serves clients."""
        if isinstance(self.program, RabbitMq):
            for pid in proc.children(self.popen.pid):
                try:
                    with open(f"/proc/{pid}/comm", encoding="ascii") as file:
                        if file.read().strip() == "beam.smp":
                            return pid
                except OSError:
                    pass
        return self.popen.pid

    def log_end(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as file:
            return "".join(file.readlines()[-5:]).strip()

    def check_alive(self):
        if self.popen.poll() is not None:
            raise BrokerFailed(f"{self.program.name} ended with status {self.popen.returncode}: "
                               f"{self.log_end()}")

    def end(self, send, timeout_s):
        self.written, self.stop_s = proc.end_and_count(self.popen, send, timeout_s)
        self.popen = None
        self.program.ended()

    def stop(self):
        """A clean stop. `written` then holds what it wrote in its whole life."""
        if self.popen:
            self.end(signal.SIGTERM, 600)

    def kill(self):
        if self.popen:
            self.end(signal.SIGKILL, 60)

    def store_use(self):
        return proc.disk_use(self.program.store(self.folder))

"""`python tools/servers.py start|stop|status|env`: real Redis, PostgreSQL and Kafka on loopback, for tests.

They live in build/servers, or in $SERVERS_FOLDER, on free ports, and end by the process ids noted there. A server that
`DIDYMOS_<NAME>_URL` points at is used as it is and never started. Missing programs are installed by the system's
package manager when this runs as root; else the message says what is missing.
"""

import fcntl
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
JARS: Final = ROOT / "build/servers"
FOLDER: Final = Path(os.environ.get("SERVERS_FOLDER") or JARS)  # another one: a set of servers of its own
PORTS: Final = range(10_000, 20_000)
START_SECONDS: Final = 180.0
STOP_SECONDS: Final = 20.0
KAFKA: Final = "4.3.1"
LOG4J: Final = "2.25.3"  # Kafka's clients speak SLF4J 1.7: log4j-slf4j-impl, not log4j-slf4j2-impl
POSTGRES_USER: Final = "postgres"  # of the operating system: the server refuses root


@dataclass(frozen=True, slots=True)
class Running:
    """A server that was started here. `begun` (clock ticks since boot) tells its process id from a reused one."""

    pid: int
    begun: int
    url: str
    folder: str


class ServerError(RuntimeError):
    """What is missing or did not start, and the next step."""


def free_port() -> int:
    """Below those that systems give to calling sockets: it stays free while its server is away."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def begun_at(pid: int) -> int | None:
    """When the process began; None if there is none, or it ended and only waits to be collected."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def alive(server: Running) -> bool:
    return begun_at(server.pid) == server.begun


def program(name: str, package: str, folders: str = "") -> str:
    """The path of a program, installed if that is possible. Raises ServerError."""
    found = _find(name, folders)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}  # installed, not started
        for step in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", package]):
            subprocess.run(["apt-get", *step], check=True, env=quiet, stdout=subprocess.DEVNULL)
        found = _find(name, folders)
    if found is None:
        raise ServerError(f"{name} is missing: install the package {package}, or point DIDYMOS_*_URL at a server")
    return found


def _find(name: str, folders: str) -> str | None:
    known = sorted(Path("/").glob(folders.lstrip("/")), reverse=True) if folders else []
    return shutil.which(name, path=os.pathsep.join([*map(str, known), os.environ.get("PATH", "/usr/bin:/bin")]))


def spawn(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> int:
    """A process of its own session, whose output goes to `output.log` in `folder`."""
    with (folder / "output.log").open("ab") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
    return process.pid


def await_answer(name: str, pid: int, folder: Path, answers: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if begun_at(pid) is None:
            break
        if answers():
            return
        time.sleep(0.1)
    if begun_at(pid) is not None:
        os.kill(pid, signal.SIGKILL)
    tail = (folder / "output.log").read_text(errors="replace")[-2000:]
    raise ServerError(f"{name} did not answer within {START_SECONDS:.0f} s; its last words:\n{tail}")


def exchange(port: int, request: bytes, count: int) -> bytes:
    """What the server says first; empty if it does not."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(request)
            return connection.recv(count)
    except OSError:
        return b""


def start_redis(folder: Path) -> Running:
    port = free_port()
    server = program("redis-server", "redis-server")
    command = [server, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    pid = spawn([*command, "--daemonize", "no", "--dir", str(folder)], folder)
    await_answer("Redis", pid, folder, lambda: exchange(port, b"PING\r\n", 5) == b"+PONG")
    return Running(pid, begun_at(pid) or 0, f"redis://127.0.0.1:{port}/0", str(folder))


def start_postgres(folder: Path) -> Running:
    """As root it runs as another user, in a folder which that user can reach."""
    port, password = free_port(), secrets.token_hex(16)
    where = "/usr/lib/postgresql/*/bin"
    initdb, server = (program(name, "postgresql", where) for name in ("initdb", "postgres"))
    prefix: list[str] = []
    if os.geteuid() == 0:
        if any(not parent.stat().st_mode & 0o001 for parent in folder.parents):
            folder = Path(tempfile.mkdtemp(prefix="didymos-postgres-"))
        prefix = ["setpriv", f"--reuid={POSTGRES_USER}", f"--regid={POSTGRES_USER}", "--init-groups"]
        shutil.chown(folder, POSTGRES_USER, POSTGRES_USER)
    data, secret = folder / "data", folder / "password"
    secret.write_text(password)
    secret.chmod(0o600)
    if prefix:
        shutil.chown(secret, POSTGRES_USER, POSTGRES_USER)
    initialise = [initdb, "-D", str(data), "-U", "didymos", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8"]
    done = subprocess.run([*prefix, *initialise], cwd=folder, check=False, capture_output=True, text=True)
    secret.unlink()
    if done.returncode:
        raise ServerError(f"initdb: {done.stderr.strip()}")
    settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "200"}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    pid = spawn([*prefix, server, "-D", str(data), "-p", str(port), *options], folder)
    ready = [program("pg_isready", "postgresql", where), "-q", "-h", "127.0.0.1", "-p", str(port)]
    await_answer("PostgreSQL", pid, folder, lambda: subprocess.run(ready, check=False).returncode == 0)
    url = f"postgresql://didymos:{password}@127.0.0.1:{port}/postgres"
    return Running(pid, begun_at(pid) or 0, url, str(folder))


POM: Final = """<project><modelVersion>4.0.0</modelVersion>
<groupId>didymos</groupId><artifactId>servers</artifactId><version>1</version><packaging>pom</packaging><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{kafka}</version></dependency>
<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId>
<version>{log4j}</version></dependency></dependencies></project>
"""
KAFKA_SETTINGS: Final = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.retention.check.interval.ms=500
log.segment.delete.delay.ms=500
log.cleaner.backoff.ms=200
num.io.threads=2
num.network.threads=2
"""
LOG4J_SETTINGS: Final = """appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c: %m%n
rootLogger.level=WARN
rootLogger.appenderRef.out.ref=out
"""
API_VERSIONS: Final = bytes.fromhex("0000000a 0012 0000 00000001 ffff")  # length, API 18, version 0, id 1, no client


def kafka_jars() -> Path:
    """Fetched once; they stay when the servers are stopped."""
    jars = JARS / f"kafka-{KAFKA}-jars"
    if not jars.exists():
        maven = program("mvn", "maven")
        JARS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=JARS) as folder:
            (Path(folder) / "pom.xml").write_text(POM.format(kafka=KAFKA, log4j=LOG4J))
            command = [maven, "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars"]
            done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
            if done.returncode:
                raise ServerError(f"Maven: {(done.stdout + done.stderr)[-1000:]}")
            (Path(folder) / "jars").rename(jars)
    return jars


def start_kafka(folder: Path) -> Running:
    java = program("java", "default-jre-headless")
    jars, port, controller = kafka_jars(), free_port(), free_port()
    settings = folder / "server.properties"
    settings.write_text(KAFKA_SETTINGS.format(port=port, controller=controller, data=folder / "data"))
    (folder / "log4j2.properties").write_text(LOG4J_SETTINGS)
    logging = f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}"
    command = [java, "-Xms256m", "-Xmx512m", logging, "-cp", f"{jars}/*"]
    cluster = secrets.token_urlsafe(16)
    format_disk = [*command, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(settings)]
    done = subprocess.run(format_disk, check=False, capture_output=True, text=True)
    if done.returncode:
        raise ServerError(f"Kafka: {(done.stdout + done.stderr)[-1000:]}")
    pid = spawn([*command, "kafka.Kafka", str(settings)], folder)
    await_answer("Kafka", pid, folder, lambda: exchange(port, API_VERSIONS, 10)[8:10] == b"\0\0")
    return Running(pid, begun_at(pid) or 0, f"kafka://127.0.0.1:{port}", str(folder))


STARTERS: Final[dict[str, Callable[[Path], Running]]] = {
    "redis": start_redis,
    "postgres": start_postgres,
    "kafka": start_kafka,
}


def variable(name: str) -> str:
    return f"DIDYMOS_{name.upper()}_URL"


@contextmanager
def state() -> Iterator[dict[str, Running]]:
    """What is noted of running servers; written back at the end. One caller at a time."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = FOLDER / "state.json"
        noted = json.loads(path.read_text()) if path.exists() else {}
        servers = {name: Running(**said) for name, said in noted.items()}
        try:
            yield servers
        finally:
            path.write_text(json.dumps({name: asdict(server) for name, server in servers.items()}, indent=1) + "\n")
            path.chmod(0o600)


def start() -> None:
    with state() as servers:
        for name, starter in STARTERS.items():
            if os.environ.get(variable(name)) or (name in servers and alive(servers[name])):
                continue
            folder = FOLDER / name
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            begun = time.monotonic()
            servers[name] = starter(folder)
            print(f"servers: {name} answers after {time.monotonic() - begun:.1f} s", file=sys.stderr)


def stop() -> None:
    with state() as servers:
        for name in list(servers):
            end(servers[name])
            shutil.rmtree(servers.pop(name).folder, ignore_errors=True)


def end(server: Running) -> None:
    """Ask, wait, then kill."""
    for how, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 5.0)):
        if not alive(server):
            return
        os.kill(server.pid, how)
        deadline = time.monotonic() + seconds
        while alive(server) and time.monotonic() < deadline:
            time.sleep(0.05)


def urls() -> dict[str, str]:
    """Of every server there is, started here or pointed at."""
    with state() as servers:
        here = {name: server.url for name, server in servers.items() if alive(server)}
    given = {name: os.environ[variable(name)] for name in STARTERS if os.environ.get(variable(name))}
    return here | given


def main() -> int:
    action = sys.argv[1] if len(sys.argv) == 2 else ""
    try:
        match action:
            case "start":
                start()
            case "stop":
                stop()
            case "status":
                found = urls()
                for name in STARTERS:
                    print(f"{name}: {'runs' if name in found else 'stopped'}")
                return 0 if len(found) == len(STARTERS) else 1
            case "env":
                for name, url in urls().items():
                    print(f"export {variable(name)}={shlex.quote(url)}")
            case "broker":
                program("mosquitto", "mosquitto", "/usr/sbin")
                program("mosquitto_rr", "mosquitto-clients")
            case _:
                print("servers: one of start, stop, status, env, broker", file=sys.stderr)
                return 2
    except ServerError as error:
        print(f"servers: {error}", file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())

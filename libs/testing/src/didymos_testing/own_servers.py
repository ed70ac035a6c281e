# ruff: noqa: S101, S603 - starts and watches processes; test code
"""Kafka, PostgreSQL and Redis of a test's own, which it kills with SIGKILL and revives with the data they left."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

ROOT: Final = Path(__file__).resolve().parents[4]
NAMES: Final = ("redis", "postgres", "kafka")
ANSWER_SECONDS: Final = 240.0


@dataclass
class OwnServer:
    """One of them: how it was started, so that it can be started again."""

    name: str
    url: str
    pid: int
    command: list[str]
    folder: str
    user: int
    group: int
    revived: subprocess.Popen[bytes] | None = None

    @property
    def place(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    def kill(self) -> None:
        """Nothing in it has a say."""
        if self.revived is not None:
            self.revived.kill()
            self.revived.wait()
        else:
            os.kill(self.pid, signal.SIGKILL)

    async def revive(self) -> None:
        """On the same port and data, until it listens; what is left of its predecessor may need a moment to go."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while not self._listens():
            assert time.monotonic() < deadline, f"{self.name} does not come back"
            if self.revived is None or self.revived.poll() is not None:
                self.revived = self._started()
            await asyncio.sleep(0.1)

    def _started(self) -> subprocess.Popen[bytes]:
        with (Path(self.folder) / "output.log").open("ab") as output:
            return subprocess.Popen(
                self.command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, user=self.user, group=self.group, extra_groups=[],
            )  # fmt: skip

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return self.revived is not None and probe.connect_ex(self.place) == 0


@dataclass
class OwnServers:
    servers: dict[str, OwnServer]

    def environ(self) -> dict[str, str]:
        return {f"DIDYMOS_{name.upper()}_URL": server.url for name, server in self.servers.items()}

    def kill(self, *names: str) -> None:
        for name in names:
            self.servers[name].kill()

    async def revive(self, *names: str) -> None:
        await asyncio.gather(*(self.servers[name].revive() for name in names))


@asynccontextmanager
async def own_servers(folder: Path) -> AsyncIterator[OwnServers]:
    """All three, running; ended at the end of the block."""
    environ = {name: said for name, said in os.environ.items() if not name.startswith("DIDYMOS_")}
    environ["SERVERS_FOLDER"] = str(folder)
    found: dict[str, OwnServer] = {}
    try:
        await _tool("start", environ)
        said = json.loads((folder / "state.json").read_text())
        found = {name: _server(name, said[name]) for name in NAMES}
        yield OwnServers(found)
    finally:
        for server in found.values():
            if server.revived is not None:
                server.kill()
        await _tool("stop", environ)


def _server(name: str, said: dict[str, str]) -> OwnServer:
    process = Path(f"/proc/{said['pid']}")
    command = process.joinpath("cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    owner, words = process.stat(), [word.decode() for word in command]
    if name == "redis":  # it writes a title over its words
        words = ["redis-server", "--bind", "127.0.0.1", "--port", said["url"].rpartition(":")[2].partition("/")[0]]
        words += ["--save", "", "--appendonly", "no", "--dir", said["folder"]]
    return OwnServer(name, said["url"], int(said["pid"]), words, said["folder"], owner.st_uid, owner.st_gid)


async def _tool(action: str, environ: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, str(ROOT / "tools/servers.py"), action, env=environ)
    assert await process.wait() == 0, f"servers.py {action}"

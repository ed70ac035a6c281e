"""The cluster of a kit, and what a test asks it. The kit is found by CLUSTER_KIT; without one there is no test."""

import asyncio
import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
KIT: Final = Path(os.environ.get("CLUSTER_KIT", str(ROOT.parent / "shared" / "cluster")))
POLL_SECONDS: Final = 0.5
VALIDATION: Final = ROOT / "data" / "glucose" / "validation.csv.gz"


class CommandError(RuntimeError):
    """A command of the cluster failed; the text is what it wrote."""


async def command(*words: str, environ: Mapping[str, str] | None = None, stdin: bytes = b"") -> str:
    """What a command prints. Raises CommandError."""
    process = await asyncio.create_subprocess_exec(
        *words, env={**os.environ, **(environ or {})}, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, said = await process.communicate(stdin)
    if process.returncode:
        raise CommandError(f"{' '.join(words)}: {said.decode()[-2000:]}")
    return out.decode()


def kit() -> Path | None:
    """The program of the kit, if it is there."""
    program = KIT / "cluster"
    return program if program.is_file() else None


@dataclass(frozen=True, slots=True)
class Kube:
    """One namespace of the cluster. `helm` speaks to it, too."""

    program: Path
    namespace: str
    environ: Mapping[str, str]
    bin: Path

    @classmethod
    async def up(cls, program: Path, namespace: str) -> "Kube":
        """The cluster, running; the namespace is not made yet."""
        await command(str(program), "up")
        config = (await command(str(program), "config")).strip()
        place = Path((await command(str(program), "bin")).strip())
        return cls(program, namespace, {"KUBECONFIG": config}, place)

    async def ctl(self, *words: str, stdin: bytes = b"") -> str:
        kubectl = (str(self.bin / "kube"), "kubectl", "-n", self.namespace)
        return await command(*kubectl, *words, environ=self.environ, stdin=stdin)

    async def helm(self, *words: str) -> str:
        return await command(str(self.bin / "helm"), "-n", self.namespace, *words, environ=self.environ)

    async def get(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        """Objects of a kind."""
        said = await self.ctl("get", kind, "-o", "json", *(("-l", selector) if selector else ()))
        items: list[dict[str, Any]] = json.loads(said)["items"]
        return items

    async def apply(self, *objects: Mapping[str, Any]) -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        await self.ctl("apply", "-f", "-", stdin=json.dumps(listed).encode())

    async def node_address(self) -> str:
        (node, *_) = await self.get("nodes")
        return next(str(each["address"]) for each in node["status"]["addresses"] if each["type"] == "InternalIP")

    async def pods(self, component: str = "") -> list[dict[str, Any]]:
        """Those of the release that are to run on, with this component if one is named."""
        label = f"app.kubernetes.io/component={component}" if component else "app.kubernetes.io/component"
        return [
            pod
            for pod in await self.get("pods", label)
            if "deletionTimestamp" not in pod["metadata"] and pod["status"]["phase"] not in ("Succeeded", "Failed")
        ]

    async def all_ready(self, seconds: float, at_least: Mapping[str, int] | None = None) -> float:
        """Seconds until every pod is Ready, and of each named component so many are. Raises TimeoutError."""
        begun = time.monotonic()
        waiting: Sequence[str] = ("pods",)
        try:
            async with asyncio.timeout(seconds):
                while waiting:
                    pods = await self.pods()
                    waiting = [pod["metadata"]["name"] for pod in pods if not ready(pod)]
                    for component, count in (at_least or {}).items():
                        if sum(component_of(pod) == component for pod in pods) < count:
                            waiting = [*waiting, component]
                    await asyncio.sleep(POLL_SECONDS if waiting else 0)
        except TimeoutError:
            raise TimeoutError(f"not ready after {seconds:.0f} s: {', '.join(waiting)}") from None
        return time.monotonic() - begun

    async def give_validation(self) -> None:
        """The file that scored runs commit to, into the volume of training-orchestration."""
        data = VALIDATION.read_bytes()
        (pod,) = await self.pods("training-orchestration")
        write = f"import sys; open('/var/lib/didymos/files/{VALIDATION.name}', 'wb').write(sys.stdin.buffer.read())"
        await self.ctl("exec", "-i", pod["metadata"]["name"], "--", "python", "-c", write, stdin=data)

    async def kill(self, pod: Mapping[str, Any]) -> None:
        """SIGKILL to all its processes, from outside: the pod stays, its containers restart."""
        name = pod["metadata"]["name"]
        before = restarts(pod)
        pids = _pids(str(pod["metadata"]["uid"]))
        if not pids:
            raise CommandError(f"no process of {name} was found")
        for pid in pids:
            with suppress(ProcessLookupError):  # a child that ended with its parent
                os.kill(pid, 9)
        async with asyncio.timeout(120):
            while not any(restarts(each) > before for each in await self.pods() if each["metadata"]["name"] == name):  # noqa: ASYNC110 - a client polls
                await asyncio.sleep(POLL_SECONDS)


def _pids(uid: str) -> list[int]:
    """Processes of the containers of a pod, by their control group; not of the one that holds its network."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cgroup"):
        try:
            groups = path.read_text()
            command_line = (path.parent / "cmdline").read_bytes()
        except OSError:  # it ended meanwhile
            continue
        if uid in groups.replace("_", "-") and b"pause" not in command_line:
            found.append(int(path.parent.name))
    return found


def ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def restarts(pod: Mapping[str, Any]) -> int:
    return sum(int(each["restartCount"]) for each in pod["status"].get("containerStatuses", ()))


def component_of(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"]["labels"]["app.kubernetes.io/component"])

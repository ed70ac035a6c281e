"""Twins in the hot store: Lua scripts that make blobs and offsets one step, fenced by epoch. data-path.md section 9.

Keys of one partition share the hash tag `{p}`: `ctl` hash e r c ar ac (epoch, next offsets, announced offsets), `tw` a
blob, `ix` the set of its twins (what a wipe removes), `rs` the result of a write for two minutes.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from didymos_kit.hot import Hot, Script

from didymos_twin_state.application.ports import Control, Fenced, HotCommit, Marks, Moved

RESULT_MS: Final = 120_000
LOOK_SECONDS: Final = 0.25  # messages can be lost: look again
NONE: Final = "-"

CLAIM: Final = Script("""
local epoch = tonumber(redis.call('HGET', KEYS[1], 'e') or '0')
if epoch > tonumber(ARGV[1]) then return {'FENCED'} end
redis.call('HSET', KEYS[1], 'e', ARGV[1])
local said = redis.call('HMGET', KEYS[1], 'r', 'c', 'ar', 'ac')
return {'OK', said[1] or '-', said[2] or '-', said[3] or '0', said[4] or '0'}
""")
COMMIT: Final = Script("""
local said = redis.call('HMGET', KEYS[1], 'e', 'r', 'c')
if (said[1] or '0') ~= ARGV[1] then return 'FENCED' end
if (said[2] or '-') ~= ARGV[2] or (said[3] or '-') ~= ARGV[3] then return 'MOVED' end
local blobs, at = tonumber(ARGV[8]), 10
local twins = {}
for n = 1, blobs do
  redis.call('SET', KEYS[2 + n], ARGV[at])
  twins[n] = KEYS[2 + n]
  at = at + 1
end
if blobs > 0 then redis.call('SADD', KEYS[2], unpack(twins)) end
for n = 3 + blobs, #KEYS do
  redis.call('SET', KEYS[n], ARGV[at], 'PX', ARGV[9])
  at = at + 1
end
redis.call('HSET', KEYS[1], 'r', ARGV[4], 'c', ARGV[5], 'ar', ARGV[6], 'ac', ARGV[7])
redis.call('PUBLISH', ARGV[at], ARGV[4] .. ':' .. ARGV[5])
return 'OK'
""")
FILL: Final = Script("""
if (redis.call('HGET', KEYS[1], 'e') or '0') ~= ARGV[1] then return 'FENCED' end
local twins = {}
for n = 3, #KEYS do
  redis.call('SET', KEYS[n], ARGV[n - 1])
  twins[n - 2] = KEYS[n]
end
redis.call('SADD', KEYS[2], unpack(twins))
return 'OK'
""")
WIPE: Final = Script("""
if (redis.call('HGET', KEYS[1], 'e') or '0') ~= ARGV[1] then return 'FENCED' end
redis.call('HDEL', KEYS[1], 'r', 'c')
local twins = redis.call('SPOP', KEYS[2], 1000)
while #twins > 0 do
  redis.call('UNLINK', unpack(twins))
  twins = redis.call('SPOP', KEYS[2], 1000)
end
return 'OK'
""")
LOOK: Final = Script("""
local said = redis.call('HMGET', KEYS[1], 'r', 'c')
return {said[1] or '-', said[2] or '-', redis.call('GET', KEYS[2])}
""")


def control(part: int) -> str:
    return f"ctl:{{{part}}}"


def index(part: int) -> str:
    return f"ix:{{{part}}}"


def blob_key(part: int, twin: str) -> str:
    return f"tw:{{{part}}}:{twin}"


def result_key(part: int, command: bytes) -> str:
    return f"rs:{{{part}}}:{command.hex()}"


def channel(part: int) -> str:
    return f"ap:{{{part}}}"


class HotStore:
    """`HotTwins` on kit's hot port. Raises `platform.unavailable` while the store is away."""

    def __init__(self, hot: Hot) -> None:
        self._hot = hot

    async def claim(self, part: int, epoch: int) -> Control:
        answer = _texts(await self._hot.run(CLAIM, [control(part)], [epoch]))
        if answer[0] == "FENCED":
            raise Fenced
        return Control(epoch, _marks(answer[1], answer[2]), Marks(int(answer[3]), int(answer[4])))

    async def commit(self, commit: HotCommit) -> None:
        part, reached, announced = commit.part, commit.reached, commit.announced
        wanted = (NONE, NONE) if commit.expected is None else (commit.expected.readings, commit.expected.writes)
        keys = [control(part), index(part)]
        keys += [blob_key(part, twin) for twin in commit.blobs]
        keys += [result_key(part, command) for command in commit.results]
        said = _text(
            await self._hot.run(
                COMMIT, keys,
                [
                    commit.epoch, *wanted, reached.readings, reached.writes, announced.readings, announced.writes,
                    len(commit.blobs), RESULT_MS, *commit.blobs.values(), *commit.results.values(), channel(part),
                ],
            )
        )  # fmt: skip
        if said == "FENCED":
            raise Fenced
        if said == "MOVED":
            raise Moved

    async def fill(self, part: int, epoch: int, blobs: Mapping[str, bytes]) -> None:
        keys = [control(part), index(part), *(blob_key(part, twin) for twin in blobs)]
        if _text(await self._hot.run(FILL, keys, [epoch, *blobs.values()])) == "FENCED":
            raise Fenced

    async def wipe(self, part: int, epoch: int) -> None:
        if _text(await self._hot.run(WIPE, [control(part), index(part)], [epoch])) == "FENCED":
            raise Fenced

    async def look(self, part: int, twin: str) -> tuple[Marks | None, bytes | None]:
        readings, writes, blob = await self._hot.run(LOOK, [control(part), blob_key(part, twin)], [])
        return _marks(_text(readings), _text(writes)), blob

    async def result(self, part: int, command: bytes) -> bytes | None:
        _, _, found = await self._hot.run(LOOK, [control(part), result_key(part, command)], [])
        answer: bytes | None = found
        return answer

    async def wait(self, part: int, wanted: Marks, seconds: float) -> bool:
        if await self._reached(part, wanted):
            return True
        try:
            async with asyncio.timeout(seconds), self._hot.listen([channel(part)]) as heard:
                while not await self._reached(part, wanted):
                    await heard.next(LOOK_SECONDS)
        except TimeoutError:
            return False
        return True

    async def _reached(self, part: int, wanted: Marks) -> bool:
        marks, _ = await self.look(part, "")
        return marks is not None and marks.reached(wanted)


def _marks(readings: str, writes: str) -> Marks | None:
    return None if NONE in (readings, writes) else Marks(int(readings), int(writes))


def _text(said: Any) -> str:  # noqa: ANN401 - what Lua gives
    return said.decode() if isinstance(said, bytes) else str(said)


def _texts(said: Sequence[Any]) -> list[str]:
    return [_text(each) for each in said]

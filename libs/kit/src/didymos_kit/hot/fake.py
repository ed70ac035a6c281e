"""The hot store inside one process: empty at each start, and rebuilt like a real one that was wiped."""

from fakeredis import FakeAsyncRedis, FakeServer

from didymos_kit.hot.redis import RedisHot


def fake_hot() -> RedisHot:
    """A store of its own; Lua scripts run in a real interpreter."""
    return RedisHot(FakeAsyncRedis(server=FakeServer()))

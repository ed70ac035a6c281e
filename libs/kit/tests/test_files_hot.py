"""Files in a folder, scripts in the hot store, and the secrets of a house."""

from pathlib import Path

import pytest
from didymos_kit.files import FolderFiles
from didymos_kit.hot import Script
from didymos_kit.hot.fake import fake_hot
from didymos_kit.hot.replays import HotReplays
from didymos_kit.keyring import KeyRing, open_keyring

COUNT = Script("return redis.call('INCRBY', KEYS[1], ARGV[1])")


async def test_an_object_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    files = FolderFiles(tmp_path)
    assert await files.get("models/a") is None
    assert await files.put("models/a", b"one")
    assert not await files.put("models/a", b"two", if_absent=True)
    assert await files.get("models/a") == b"one"
    assert await files.put("models/a", b"three")
    assert await files.keys("models/") == ["models/a"]
    await files.delete("models/a")
    await files.delete("models/a")
    assert await files.keys("") == []


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../a", "a/../b", "a//b", "A", ".hidden", "a\0b"])
async def test_a_key_that_leaves_the_folder_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        await FolderFiles(tmp_path).put(key, b"")


async def test_a_script_is_one_step_and_is_known_by_its_digest() -> None:
    async with fake_hot() as hot:
        assert [await hot.run(COUNT, ["a"], [2]) for _ in range(3)] == [2, 4, 6]


async def test_a_listener_hears_what_is_said_after_it_listens() -> None:
    say = Script("return redis.call('PUBLISH', 'news', ARGV[1])")
    async with fake_hot() as hot, hot.listen(["news"]) as listener:
        await hot.run(say, ["news"], ["hello"])
        assert await listener.next(5) == ("news", b"hello")
        assert await listener.next(0.01) is None


async def test_a_proof_is_taken_once() -> None:
    async with fake_hot() as hot:
        replays = HotReplays(hot)
        assert [await replays.first(b"p", 0), await replays.first(b"p", 0), await replays.first(b"q", 0)] == [
            True, False, True,
        ]  # fmt: skip


def test_the_keys_of_a_house_are_stable_and_told_apart(tmp_path: Path) -> None:
    first = open_keyring(tmp_path / "keys" / "house.key")
    again = open_keyring(tmp_path / "keys" / "house.key")
    assert first.did("ingestion") == again.did("ingestion") != first.did("twin-state")
    assert (tmp_path / "keys" / "house.key").stat().st_mode & 0o777 == 0o600
    assert "root" not in repr(first)
    with pytest.raises(ValueError, match="32 bytes"):
        KeyRing(b"short")

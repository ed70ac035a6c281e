"""Objects by their digest, and uploads in pieces."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from didymos_contracts.errors import Problem
from didymos_kit.files import FolderFiles
from didymos_training_orchestration.adapters.objects import PIECE_BYTES, FileObjects, PieceOf, Uploads

DATA = bytes(range(256)) * 4096  # 1 MiB: four pieces
DIGEST = sha256(DATA).digest()
SITE = "did:key:zSite"


def a_piece(offset: int = 0, **changes: Any) -> PieceOf:
    said: dict[str, Any] = {
        "digest": DIGEST, "offset": offset, "data": DATA[offset : offset + PIECE_BYTES], "size": len(DATA),
    }  # fmt: skip
    return PieceOf(**{**said, **changes})


def uploads(folder: Path, limit: int = 1 << 21) -> tuple[Uploads, FileObjects]:
    objects = FileObjects(FolderFiles(folder))
    return Uploads(objects, limit), objects


async def refused(uploads_: Uploads, piece: PieceOf) -> tuple[str, dict[str, Any]]:
    with pytest.raises(Problem) as raised:
        await uploads_.take(SITE, piece)
    return raised.value.row.code, raised.value.values


async def test_an_object_is_there_once_its_last_piece_came(tmp_path: Path) -> None:
    taking, objects = uploads(tmp_path)
    for offset in range(0, len(DATA), PIECE_BYTES):
        reached, complete = await taking.take(SITE, a_piece(offset))
        assert (reached, complete) == (offset + PIECE_BYTES, offset + PIECE_BYTES == len(DATA))
    assert await objects.get(DIGEST) == DATA
    assert await taking.take(SITE, a_piece()) == (len(DATA), True)  # a repeat finds it there


async def test_a_broken_upload_goes_on_where_it_broke(tmp_path: Path) -> None:
    taking, _ = uploads(tmp_path)
    await taking.take(SITE, a_piece())
    assert await taking.offset(SITE, DIGEST) == (PIECE_BYTES, False)
    code, values = await refused(taking, a_piece())
    assert (code, values["next_offset"]) == ("training.piece_misplaced", PIECE_BYTES)
    await taking.take(SITE, a_piece(PIECE_BYTES))


async def test_two_senders_do_not_mix(tmp_path: Path) -> None:
    taking, _ = uploads(tmp_path)
    await taking.take(SITE, a_piece())
    assert await taking.offset("did:key:zOther", DIGEST) == (0, False)


async def test_other_bytes_than_the_name_says_are_not_kept(tmp_path: Path) -> None:
    taking, objects = uploads(tmp_path)
    false = sha256(b"something else").digest()
    code, _ = await refused(taking, a_piece(digest=false, data=b"abcd", size=4))
    assert code == "training.digest_mismatched"
    assert await objects.get(false) is None


@pytest.mark.parametrize(
    "piece",
    [
        a_piece(size=1 << 22),
        a_piece(data=DATA[: PIECE_BYTES + 1]),
        a_piece(data=b"12345", size=4),
    ],
    ids=["object", "piece", "beyond its size"],
)
async def test_what_is_too_large_is_refused(piece: PieceOf, tmp_path: Path) -> None:
    assert (await refused(uploads(tmp_path)[0], piece))[0] == "training.object_too_large"


@pytest.mark.parametrize("piece", [a_piece(4), a_piece(digest=b"short"), a_piece(data=b"")])
async def test_a_piece_without_a_place_is_refused(piece: PieceOf, tmp_path: Path) -> None:
    assert (await refused(uploads(tmp_path)[0], piece))[0] == "training.piece_misplaced"


async def test_a_sender_cannot_fill_the_memory(tmp_path: Path) -> None:
    taking, _ = uploads(tmp_path)
    for number in range(5):
        await taking.take(SITE, a_piece(digest=sha256(bytes([number])).digest()))
    assert await taking.offset(SITE, sha256(bytes([0])).digest()) == (0, False)  # the oldest made room
    assert (await taking.offset(SITE, sha256(bytes([4])).digest()))[0] == PIECE_BYTES


async def test_an_object_can_be_dropped_and_a_name_that_is_none_finds_nothing(tmp_path: Path) -> None:
    _, objects = uploads(tmp_path)
    digest = await objects.put(b"x")
    await objects.drop(digest)
    assert await objects.get(digest) is None
    assert await objects.get(b"no digest") is None

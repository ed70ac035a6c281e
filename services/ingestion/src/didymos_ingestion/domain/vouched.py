"""Topics whose unsigned readings a gateway vouches for: which device each speaks of. data-path.md 4, MQTT 5."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

DEVICE: Final = "{device}"
SIGNED: Final = "didymos/v1/batch"  # below it every payload proves its sender by itself
ANSWERS: Final = "didymos/v1/answers/"  # the only topics that answers go to: no sender makes us speak elsewhere


@dataclass(frozen=True, slots=True)
class Vouched:
    """`by_topic`: the device of a topic, or empty if its level `{device}` names it."""

    by_topic: Mapping[str, str]

    @property
    def filters(self) -> tuple[str, ...]:
        """What to subscribe to."""
        return tuple(topic.replace(DEVICE, "+") for topic in self.by_topic)

    def device(self, topic: str) -> str | None:
        """Whose readings they are, as it is written; None if nobody vouches for this topic."""
        fixed = self.by_topic.get(topic)
        if fixed and DEVICE not in topic:
            return fixed
        levels = topic.split("/")
        for pattern in self.by_topic:
            found = _named(pattern.split("/"), levels)
            if found is not None:
                return found
        return None


def vouched(by_topic: Mapping[str, str]) -> Vouched | str:
    """The topics of a setting, or what is wrong with them."""
    for topic, device in by_topic.items():
        levels = topic.split("/")
        if not topic or any(mark in topic for mark in "+#\0") or topic.startswith("$"):
            return f"{topic!r} is no topic: wildcards are not taken, {DEVICE} stands for a level"
        if f"{topic}/".startswith(("didymos/v1/batch/", ANSWERS)):
            return f"{topic!r} is one of ours"
        if levels.count(DEVICE) + (DEVICE in topic and DEVICE not in levels) > 1 or (DEVICE in topic) == bool(device):
            return f"{topic!r} names its device either by one level {DEVICE} or by a DID"
        if DEVICE in topic and DEVICE not in levels:
            return f"{topic!r}: {DEVICE} stands for a whole level"
    return Vouched(dict(by_topic))


def _named(pattern: list[str], levels: list[str]) -> str | None:
    if DEVICE not in pattern or len(pattern) != len(levels):
        return None
    at = pattern.index(DEVICE)
    same = all(
        mine == theirs for number, (mine, theirs) in enumerate(zip(pattern, levels, strict=True)) if number != at
    )
    return levels[at] if same else None

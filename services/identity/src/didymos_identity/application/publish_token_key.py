"""A process says with which key it signs tokens; keys that are long over are forgotten."""

from didymos_kit.clock import Clock

from didymos_identity.application.ports import Work
from didymos_identity.domain.events import TokenKeyForgotten, TokenKeyPublished
from didymos_identity.domain.token_key import FORGOTTEN_AFTER, TokenKey


async def publish_token_key(key: TokenKey, work: Work, clock: Clock) -> TokenKey:
    await work.token_keys.add(key)
    work.publish(TokenKeyPublished(key))
    for old in await work.token_keys.forget(clock.now() - FORGOTTEN_AFTER):
        work.publish(TokenKeyForgotten(old.kid))
    return key

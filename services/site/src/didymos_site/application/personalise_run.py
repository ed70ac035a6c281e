"""After the run: fit, gate and report a personal model for each subject that took part. learning.md sections 8, 9."""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Final

from didymos_did import TwinId
from didymos_kit import log
from didymos_learning import LearningError
from didymos_privacy import model_info, seal_to

from didymos_site.application.ports import Kept, Line, PersonalModel, Ports, Report
from didymos_site.application.train_round import params_of, spec_of
from didymos_site.domain.order import Digest, PersonaliseOrder
from didymos_site.domain.subject import Placement, Subject

INLINE_BYTES: Final = 1024


async def personalise_run(order: PersonaliseOrder, digest: Digest, ports: Ports) -> bytes:
    """The signal with the report. Errors, scores and sealed parameters leave; of placement `site` no parameters."""
    header = order.header
    spec = await spec_of(header, ports)
    params = await params_of(header.params, spec, ports)
    scores = ports.store.scores(header.run)
    lines = []
    for twin in sorted(scores):
        if twin not in ports.subjects:
            continue
        try:
            made = await ports.learner.personalise(spec, params, ports.subjects[twin])
        except LearningError as error:
            log.get().warning("site.not_personalised", twin=twin, code=error.code)
            continue
        lines.append(await _line(order, made, ports.subjects[twin], scores, ports))
    signal = ports.voice.say(header, b"", Report(tuple(lines)))
    ports.store.keep(Kept(header, order.step, digest, signal))
    return signal


async def _line(
    order: PersonaliseOrder, made: PersonalModel, subject: Subject, scores: Mapping[TwinId, float], ports: Ports
) -> Line:
    line = replace(made.line, score=scores[subject.twin])
    if not (line.accepted and order.recipient and subject.placement is Placement.PLATFORM):
        return line
    info = model_info(order.header.run, subject.twin)
    sealed = seal_to(order.recipient, made.served, info)
    if len(sealed) <= INLINE_BYTES:
        return replace(line, model=sealed)
    await ports.objects.deliver(sealed)
    return replace(line, model=sha256(sealed).digest())

"""What this site says: values into signed bytes. Wire of learning.md section 6 and privacy.md section 10."""

from collections.abc import Sequence

from didymos.training.v1 import training_types_pb2 as pb
from didymos_did import Did, Signer, TwinId, sign_detached
from didymos_privacy import (
    SIGNAL,
    Advert,
    Agree,
    Answers,
    Boxes,
    Confirm,
    Masked,
    Refuse,
    tag_of,
)

from didymos_site.application.ports import Clear, Line, Report, Said
from didymos_site.domain.order import Digest, Header


class SignedVoice:
    """Fills `Voice`. `enrolment`: the credential that goes out with hello and adverts."""

    def __init__(self, signer: Signer, enrolment: bytes) -> None:
        self._signer, self.enrolment = signer, enrolment

    @property
    def site(self) -> Did:
        return self._signer.did

    def hello(self, twins: Sequence[TwinId]) -> bytes:
        """Any task: which one can be served is seen when the specification comes."""
        body = pb.SignalBody(site=self.site)
        body.hello.subjects, body.hello.enrolment = len(twins), self.enrolment
        body.hello.twins.extend(twins)
        return self._signed(SIGNAL, body)

    def heartbeat(self, at_us: int) -> bytes:
        body = pb.SignalBody(site=self.site)
        body.heartbeat.at_us = at_us
        return self._signed(SIGNAL, body)

    def say(self, header: Header, listed: Digest, said: Said) -> bytes:
        body = pb.SignalBody(
            site=self.site, run=header.run, round=header.round, attempt=header.attempt, list=listed
        )  # fmt: skip
        self._fill(body, said)
        return self._signed(SIGNAL if isinstance(said, Clear | Report) else tag_of(said), body)

    def refuse(self, header: Header, code: str, detail: str) -> bytes:
        return self.say(header, b"", Refuse(code, detail[:256]))

    def _fill(self, body: pb.SignalBody, said: Said) -> None:
        match said:
            case Advert():
                body.advert.x25519, body.advert.mlkem, body.advert.subjects = said.x25519, said.mlkem, said.subjects
                body.advert.enrolment = self.enrolment
            case Agree():
                body.agree.ciphertexts.extend(said.ciphertexts)
            case Boxes():
                body.boxes.boxes.extend(said.boxes)
                body.boxes.escrows.append(said.escrow)
                body.boxes.commit_b.append(said.commit_b)
                body.boxes.commit_r.append(said.commit_r)
            case Masked():
                body.masked.vector = said.vector
            case Confirm():
                body.confirm.transcript = said.transcript
                body.confirm.survivors.extend(said.survivors)
            case Answers():
                body.answers.b_shares.extend(said.b_shares)
                body.answers.r_shares.extend(said.r_shares)
                body.answers.seed_checks.extend(said.seed_checks)
            case Refuse():
                body.refusal.code, body.refusal.detail = said.code, said.detail
            case Clear():
                body.clear.vector, body.clear.weight, body.clear.count = said.vector, said.weight, said.count
            case Report():
                body.personal.subjects.extend(map(_line, said.lines))
                body.personal.SetInParent()

    def _signed(self, tag: str, body: pb.SignalBody) -> bytes:
        signed = sign_detached(tag, body.SerializeToString(deterministic=True), self._signer)
        signal = pb.SiteSignal(body=signed.body, kid=signed.kid, signature=signed.signature)
        return signal.SerializeToString(deterministic=True)


def _line(line: Line) -> pb.SubjectReport:
    return pb.SubjectReport(
        twin=line.twin, accepted=line.accepted, reason=line.reason, bound=line.bound, gate_windows=line.gate_windows,
        rmse_last_value=line.rmse_last_value, rmse_own=line.rmse_own, rmse_global=line.rmse_global,
        rmse_personal=line.rmse_personal, test_windows=line.test_windows, score=line.score, model=line.model,
        candidate=line.candidate, interval_low=-line.interval, interval_high=line.interval,
        rmse_gate=line.rmse_gate, input_shift=line.input_shift, gain_low=line.gain_low, gain_high=line.gain_high,
    )  # fmt: skip

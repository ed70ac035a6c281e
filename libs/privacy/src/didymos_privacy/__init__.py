"""Secure aggregation `didymos-sa-1`: sums of vectors that nobody sees one by one. Pure: no I/O, no clock. privacy.md.

A site: `start` -> `step(state, order)` ... -> `mask(state, vector)` -> `step` ... ; a coordinator: `invite` ->
`collect(state, From(...) | TimeIsUp(stage))` ..., telling each site `order_for(state, site)`, until `Done`; then
`state.opened.strip(sum of the masked vectors)` and `Scale.decode`.
"""

from didymos_privacy.codec import coordinator_state, coordinator_state_bytes, site_state, site_state_bytes
from didymos_privacy.coordinator_round import From, TimeIsUp, invite, order_for
from didymos_privacy.coordinator_round import step as collect
from didymos_privacy.coordinator_states import (
    Aborted,
    Advertising,
    Done,
    expected_digest,
    expected_of,
    list_digest,
    stage,
    subjects_of,
    survivors_of,
)
from didymos_privacy.coordinator_states import Agreeing as CoordinatorAgreeing
from didymos_privacy.coordinator_states import Confirming as CoordinatorConfirming
from didymos_privacy.coordinator_states import Masking as CoordinatorMasking
from didymos_privacy.coordinator_states import Sharing as CoordinatorSharing
from didymos_privacy.coordinator_states import State as CoordinatorState
from didymos_privacy.coordinator_states import Unmasking as CoordinatorUnmasking
from didymos_privacy.errors import PrivacyError
from didymos_privacy.kdf import derived
from didymos_privacy.masks import add_mask, mask_key
from didymos_privacy.messages import (
    Advert,
    Agree,
    Answers,
    Boxes,
    Close,
    Confirm,
    Confirmed,
    Masked,
    Order,
    Places,
    Refuse,
    SetupBoxes,
    SetupCiphertexts,
    SetupList,
    SiteMessage,
    SurvivorList,
    Unmask,
)
from didymos_privacy.opening import Opened
from didymos_privacy.plan import MOST_SITES, SUITE, Attempt, Cohort, Minima, threshold
from didymos_privacy.sealing import Recipient, model_info, seal_to
from didymos_privacy.shamir import join_secret, split_secret
from didymos_privacy.signing import ORDER, SIGNAL, sign_message, tag_of, verify_message
from didymos_privacy.site_round import (
    Advertised,
    Agreed,
    Answered,
    Left,
    Ready,
    Sent,
    list_of,
    mask,
    start,
    step,
    transcript_of,
)
from didymos_privacy.site_round import State as SiteState
from didymos_privacy.vector import U32, Scale, dequantise, grid_step, quantise, vector_bytes, vector_view

__all__ = [
    "MOST_SITES", "ORDER", "SIGNAL", "SUITE", "U32", "Aborted", "Advert", "Advertised",
    "Advertising", "Agree", "Agreed", "Answered", "Answers", "Attempt", "Boxes", "Close", "Cohort", "Confirm",
    "Confirmed", "CoordinatorAgreeing", "CoordinatorConfirming", "CoordinatorMasking", "CoordinatorSharing",
    "CoordinatorState", "CoordinatorUnmasking", "Done", "From", "Left", "Masked", "Minima", "Opened", "Order",
    "Places", "PrivacyError", "Ready", "Recipient", "Refuse", "Scale", "Sent", "SetupBoxes", "SetupCiphertexts",
    "SetupList", "SiteMessage", "SiteState", "SurvivorList", "TimeIsUp", "Unmask", "add_mask", "collect",
    "coordinator_state", "coordinator_state_bytes", "dequantise", "derived", "expected_digest", "expected_of",
    "grid_step", "invite", "join_secret", "list_digest", "list_of", "mask", "mask_key", "model_info", "order_for",
    "quantise", "seal_to", "sign_message", "site_state", "site_state_bytes", "split_secret", "stage", "start", "step",
    "subjects_of", "survivors_of", "tag_of", "threshold", "transcript_of", "vector_bytes", "vector_view",
    "verify_message",
]  # fmt: skip

"""gRPC: one server for the services of a process, one way to call a peer, and errors that survive the way."""

from didymos_kit.rpc.client import BoundToken, Peer, Target, TokenSource
from didymos_kit.rpc.interceptors import caller

__all__ = ["BoundToken", "Peer", "Target", "TokenSource", "caller"]

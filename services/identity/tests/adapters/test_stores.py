"""The stores of identity on SQLite."""

from didymos_testing.identity_bench import StoresContract


class TestStoresOnSqlite(StoresContract):
    """With the fixture `bench` of this folder."""

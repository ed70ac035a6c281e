"""REST (C2SP tiles and witness), gRPC, the collector of provable events, the loop that asks witnesses."""

"""Rules of identity: who owns a twin, what ends a grant, which device is out. No I/O, no clock."""

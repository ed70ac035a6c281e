"""What a device needs to send signed readings and to lose none of them. Start with `Device`. data-path.md 3."""

from didymos_readings import Column

from didymos_device.device import Device, Refused, Sent
from didymos_device.house import House, open_key, read_house
from didymos_device.orders import Orders, OrdersError
from didymos_device.outbox import OutboxError

__all__ = [
    "Column", "Device", "House", "Orders", "OrdersError", "OutboxError", "Refused", "Sent", "open_key", "read_house",
]  # fmt: skip

"""Driver of the mailbox that has the frames of a gateway's host port, where the gateway has no local stack."""

from vtep.control.register_map import WORD_BYTES

from .device import WrongDeviceError
from .gateway import Gateway

__all__ = ["Mailbox"]


class Mailbox:
    """Frames of the host port, without FCS.

    Parameters
    ----------
    gateway : Gateway

    Attributes
    ----------
    longest : int
        Bytes of the longest frame that can be sent.

    Raises
    ------
    WrongDeviceError
        The gateway has none.
    TransportError
        An access failed: also in all methods.
    """

    def __init__(self, gateway: Gateway) -> None:
        if not gateway.has_mailbox:
            has = "a local stack" if gateway.capacity else "a port of its own"
            raise WrongDeviceError(f"this gateway's host port has {has}, and no mailbox")
        self._gateway = gateway
        self._registers = gateway.registers
        self.longest = self._registers["HOST_STATUS"].read_field("longest")

    def receive(self) -> bytes | None:
        """Take the next frame; None where there is none.

        Raises
        ------
        DeviceTimeoutError
            The device does not answer.
        """
        length = self._registers["HOST_LENGTH"].read_field("length")
        if not length:
            return None
        frame = b""
        for word in range(-(-length // WORD_BYTES)):
            self._registers["HOST_READ"].write_fields(word=word)
            self._gateway.wait("HOST_STATUS", "reading")
            frame += self._registers["HOST_DATA"].read().to_bytes(WORD_BYTES, "little")
        self._registers["HOST_TAKE"].write_fields(take=1)
        return frame[:length]

    def send(self, frame: bytes) -> None:
        """Send a frame, which the underlay's MAC pads where it is short. What another program left behind is forgotten.

        Raises
        ------
        ValueError
            It is empty, or too long.
        DeviceTimeoutError
            The frame before it does not leave.
        """
        if not 0 < len(frame) <= self.longest:
            raise ValueError(f"a frame must have 1 .. {self.longest} bytes, not {len(frame)}")
        self._gateway.wait("HOST_STATUS", "sending")
        self._registers["HOST_SEND"].write_fields(length=0)
        for start in range(0, len(frame), WORD_BYTES):
            word = int.from_bytes(frame[start : start + WORD_BYTES], "little")
            self._registers["HOST_WRITE"].write_fields(data=word)
        self._registers["HOST_SEND"].write_fields(length=len(frame))

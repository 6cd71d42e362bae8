"""What a running device holds, read back: for a control plane that starts anew."""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address

from vtep.control.tables import DfMode, EcnMode, Table, table_capacity

from .config import Config, FdbEntry, Tunnel, Vni, Vtep
from .device import Device, DeviceError
from .difference import State
from .gateway import Gateway
from .image import HASHED

__all__ = ["read_state"]


def read_state(device: Device, gateway: Gateway | None = None, name: str = "<device>") -> State:
    """Read all that counts of a device, and of the gateway around it, and make a configuration of it.

    A device knows no names: tunnels are called ``tunnel0`` and so on, by their index. Those to a neighbour have its
    number in their MAC address (`neighbors.unplace` makes the next hop of it). Where the last driver was
    interrupted in the middle of a move, that is mended.

    Raises
    ------
    DeviceError
        The tables contradict each other: no driver wrote them.
    TransportError
        An access failed.
    """
    state = _Reader(device).read(name)
    if gateway is not None:
        state.neighbors = gateway.read_neighbors()
    return state


class _Reader:
    def __init__(self, device: Device) -> None:
        self.device = device
        self.state = State.after_reset(device.parameters)
        self.image = self.state.image

    def read(self, name: str) -> State:
        device, state, image = self.device, self.state, self.image
        image.settings = device.read_settings()
        for table in (Table.VNI, *HASHED):
            for index in range(table_capacity(table, device.parameters)):
                self._adopt(table, index)
        used_vnis = {i: vni for i in range(device.parameters.vnis) if (vni := image.fields(Table.VNI, i))["used"]}
        runs = dict(self._runs(used_vnis))
        for vni in used_vnis.values():
            if vni["vlan"]:
                self._adopt(Table.VLAN, vni["vlan"])
        fdb, remotes = image.hashed(Table.FDB), image.hashed(Table.REMOTE)
        used = {entry["tunnel"] for entry in (*fdb.values(), *remotes.values())}
        used.update(index for run in runs.values() for index in run)
        for index in sorted(used):
            self._adopt(Table.TUNNEL, index)

        vnis: list[Vni] = []
        for index, entry in used_vnis.items():
            number = entry["vni"]
            if number in state.vnis or any(entry["vlan"] == other.vlan for other in vnis):
                raise DeviceError(f"VNI {number} or VID {entry['vlan']} stands in two entries of {Table.VNI.name}")
            state.vnis[number] = index
            flood = tuple(f"tunnel{tunnel}" for tunnel in runs.get(index, ()))
            if flood:
                state.runs[number] = entry["flood"]
            inner_vlan = "discard" if entry["inner_vlan_discard"] else "pass"
            vnis.append(Vni(id=number, vlan=entry["vlan"], inner_vlan=inner_vlan, flood=flood))
        state.tunnels = {f"tunnel{index}": index for index in sorted(used)}
        state.config = Config(
            name=name,
            vtep=_vtep(image.settings),
            vnis=tuple(vnis),
            tunnels=tuple(_tunnel(name, image.fields(Table.TUNNEL, at)) for name, at in state.tunnels.items()),
            fdb=tuple(
                FdbEntry(vni=entry["vni"], mac=entry["mac"].to_bytes(6), tunnel=f"tunnel{entry['tunnel']}")
                for entry in fdb.values()
                if entry["vni"] in state.vnis
            ),
        )
        return state

    def _adopt(self, table: Table, index: int) -> None:
        bits = self.image.pack(table, self.device.read_entry(table, index))
        try:
            mending = self.image.adopt(table, index, bits)
        except ValueError as error:
            raise DeviceError(f"{table.name}[{index}]: {error}") from error
        for write in mending:
            self.device.write_entry(*write)

    def _runs(self, vnis: Mapping[int, Mapping[str, int]]) -> Iterator[tuple[int, list[int]]]:
        """Flood list of each VNI that has one, by the VNI's index."""
        end = table_capacity(Table.FLOOD, self.device.parameters)
        for index, vni in vnis.items():
            if not vni["flood_used"]:
                continue
            run = []
            for at in range(vni["flood"], end):
                self._adopt(Table.FLOOD, at)
                element = self.image.fields(Table.FLOOD, at)
                run.append(element["tunnel"])
                if element["last"]:
                    break
            else:
                raise DeviceError(f"the flood list of VNI {vni['vni']} has no end")
            yield index, run


def _vtep(settings: dict[str, int]) -> Vtep:
    return Vtep(
        mac=settings["mac"].to_bytes(6),
        ipv4=IPv4Address(settings["ipv4"]),
        ipv6=IPv6Address(settings["ipv6"]) if settings["ipv6_used"] else None,
        udp_port=settings["udp_port"],
        underlay_mtu=settings["underlay_mtu"],
        source_port_base=settings["source_port_base"],
        source_port_bits=settings["source_port_bits"],
        reserved_bits="strict" if settings["reserved_strict"] else "ignore",
        udp_checksum_rx="verify" if settings["udp_checksum_verify"] else "ignore",
        udp6_zero_checksum_rx=bool(settings["udp6_zero_checksum"]),
        promiscuous=bool(settings["promiscuous"]),
    )


def _tunnel(name: str, entry: dict[str, int]) -> Tunnel:
    """Reverse of `tables.tunnel_fields`."""
    return Tunnel(
        name=name,
        remote=IPv6Address(entry["remote"]) if entry["remote_is_ipv6"] else IPv4Address(entry["remote"] & 0xFFFFFFFF),
        remote_mac=entry["remote_mac"].to_bytes(6),
        vlan=entry["vlan"],
        ttl="inherit" if entry["ttl_inherit"] else entry["ttl"],
        dscp="inherit" if entry["dscp_inherit"] else entry["dscp"],
        ecn=EcnMode(entry["ecn"]).name.lower(),
        df=DfMode(entry["df"]).name.lower(),
        udp_checksum=bool(entry["udp_checksum"]),
        udp_port=entry["udp_port"],
    )

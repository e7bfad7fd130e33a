"""What hangs on a VM beside its disks and cards: screen, keyboard, serial ports; and counters of its processors.

Reads a ``World`` with its lock held by the caller.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hvconsole.lab.hyperv import naming
from hvconsole.lab.hyperv.instance import Inst, Ref, make
from hvconsole.lab.hyperv.machines import Machines
from hvconsole.lab.hyperv.schema import CIMV2
from hvconsole.lab.objects import Power, Snapshot, Vm
from hvconsole.lab.world import World

SERIAL = "Microsoft:Hyper-V:Serial Port"
_SERIAL_CONTROLLER = "8E3A359F-559A-4B6A-98A9-1690A6100ED7"
_WIDTH, _HEIGHT = 1024, 768
_RUN_SHARE = 0.05
"""Of its time that a virtual processor has been busy."""


class Periphery:
    """Screens, keyboards and ports of one site's VMs."""

    def __init__(self, world: World, machines: Machines) -> None:
        self._world = world
        self._machines = machines

    def _running(self) -> Iterator[Vm]:
        yield from (vm for vm in self._machines.vms() if vm.power in (Power.RUNNING, Power.PAUSED))

    @staticmethod
    def _device(class_name: str, vm: Vm, title: str, **more: Any) -> Inst:
        guid = naming.guid(vm.id)
        return make(
            class_name,
            SystemCreationClassName="Msvm_ComputerSystem",
            SystemName=guid,
            CreationClassName=class_name,
            DeviceID=f"Microsoft:{guid}\\{naming.derived(class_name, vm.id)}",
            ElementName=title,
            Name=title,
            Caption=title,
            EnabledState=2,
            RequestedState=12,
            EnabledDefault=2,
            HealthState=5,
            OperationalStatus=[2],
            Status="OK",
            **more,
        )

    def displays(self) -> Iterator[Inst]:
        """Msvm_SyntheticDisplayController."""
        for vm in self._running():
            yield self._device("Msvm_SyntheticDisplayController", vm, "Synthetic Display Controller")

    def old_displays(self) -> Iterator[Inst]:
        """Msvm_S3DisplayController: of VMs of generation 1."""
        for vm in self._running():
            if naming.generation(vm) == 1:
                yield self._device("Msvm_S3DisplayController", vm, "Video Controller")

    def heads(self) -> Iterator[Inst]:
        """Msvm_VideoHead."""
        for vm in self._running():
            yield self._head(vm)

    def _head(self, vm: Vm) -> Inst:
        return self._device(
            "Msvm_VideoHead",
            vm,
            "Video Head",
            CurrentBitsPerPixel=32,
            CurrentHorizontalResolution=_WIDTH,
            CurrentVerticalResolution=_HEIGHT,
            CurrentRefreshRate=60,
        )

    def heads_on_controllers(self) -> Iterator[tuple[Ref, Ref]]:
        """Msvm_VideoHeadOnController."""
        for vm in self._running():
            yield (
                self._device("Msvm_SyntheticDisplayController", vm, "Synthetic Display Controller").ref,
                self._head(vm).ref,
            )

    def keyboards(self) -> Iterator[Inst]:
        """Msvm_Keyboard."""
        for vm in self._running():
            yield self._device("Msvm_Keyboard", vm, "Keyboard", Layout="00000409", UnicodeSupported=True)

    @staticmethod
    def serial_ports(owner: Vm | Snapshot) -> Iterator[Inst]:
        """Msvm_SerialPortSettingData: COM 1 and COM 2, with no pipe behind them."""
        for number in (0, 1) if naming.generation(owner) == 1 else ():
            yield make(
                "Msvm_SerialPortSettingData",
                ElementName=f"COM {number + 1}",
                ResourceType=21,
                InstanceID=f"{naming.settings_id(owner)}\\{_SERIAL_CONTROLLER}\\{number}",
                ResourceSubType=SERIAL,
                PoolID="",
                ConsumerVisibility=3,
                Connection=[""],
                AllocationUnits="count",
                VirtualQuantity=1,
                Reservation=1,
                Limit=1,
                Weight=0,
                AutomaticAllocation=True,
                AutomaticDeallocation=True,
                VirtualQuantityUnits="count",
                DebuggerMode=False,
            )

    def counters(self) -> Iterator[Inst]:
        """Win32_PerfRawData_HvStats_HyperVHypervisorVirtualProcessor, in units of 100 ns."""
        now = self._world.now()
        for vm in self._running():
            up = max(0.0, now - vm.started) * 1e7
            for number in range(vm.vcpus):
                yield make(
                    "Win32_PerfRawData_HvStats_HyperVHypervisorVirtualProcessor",
                    CIMV2,
                    Name=f"{vm.name}:Hv VP {number}",
                    PercentTotalRunTime=int(up * _RUN_SHARE),
                    PercentGuestRunTime=int(up * _RUN_SHARE * 0.9),
                    PercentHypervisorRunTime=int(up * _RUN_SHARE * 0.1),
                    PercentTotalRunTime_Base=int(up),
                    PercentGuestRunTime_Base=int(up),
                    PercentHypervisorRunTime_Base=int(up),
                    Timestamp_Sys100NS=int(now * 1e7),
                    Frequency_Sys100NS=10_000_000,
                )

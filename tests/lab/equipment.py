"""What a machine of the lab is equipped with: stand-ins for hardware, and the shipped package with its unit."""

from tests.lab import stand_ins
from tests.lab.machine import Machine
from tests.lab.package import built_wheel, install_package, install_units
from tests.lab.root import built_root, cache

DROP_IN = "/etc/systemd/system/livekit-device.service.d/lab.conf"


def bare_machine() -> Machine:
    """Return a machine with the stand-ins for hardware, without the package; it boots when it is entered."""
    return Machine(built_root(), machines=cache() / "machines", prepare=stand_ins.install)


def install_daemon(machine: Machine) -> None:
    """Install the shipped package; the unit is neither enabled nor started."""
    with built_wheel() as wheel:
        install_package(machine, wheel)
    install_units(machine)
    machine.install({DROP_IN: stand_ins.DROP_IN})
    machine.systemctl("daemon-reload")

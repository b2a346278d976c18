"""Metrics inside the shipped unit's sandbox: over HTTP, and as a file that node_exporter's user can read."""

from pathlib import Path

import prometheus_client
from prometheus_client.parser import text_string_to_metric_families

from tests.lab.conftest import Record
from tests.lab.root import VENV
from tests.lab.service import Service

SYNTHETIC = {"camera": {"source": "pattern", "width": 320, "height": 240, "fps": 5}, "microphone": None}
BIND, FILE = "127.0.0.1:9478", "/run/livekit-device/device.prom"
FOLDER = "/var/lib/node-exporter"  # the documented drop-in opens it
# As another user; the file is written soon after the start.
AS_NOBODY = ("setpriv", "--reuid=nobody", "--clear-groups")
READ = f"""
import time, urllib.request
deadline = time.monotonic() + 20
while True:
    try:
        text = open({FILE!r}).read()
        break
    except FileNotFoundError:
        assert time.monotonic() < deadline
        time.sleep(0.1)
print(urllib.request.urlopen("http://{BIND}/metrics", timeout=10).read().decode() + "#---\\n" + text)
"""


def install_prometheus_client(service: Service) -> None:
    """Install this machine's: the lab's root is without Debian's package of it."""
    find = "import sysconfig; print(sysconfig.get_path('purelib'))"
    folder = service.machine.run((f"{VENV}/bin/python", "-c", find)).stdout.strip()
    package = Path(prometheus_client.__file__).parent
    files = {f"{folder}/{each.relative_to(package.parent)}": each.read_text() for each in package.rglob("*.py")}
    service.machine.install(files)


def test_metrics_in_the_sandbox(service: Service, record: Record) -> None:
    install_prometheus_client(service)
    with service.running(**SYNTHETIC, metrics={"bind": BIND, "textfile": FILE}) as journal:
        journal.event("metrics.serving")
        journal.event("device.state", new="live")
        read = service.machine.run((*AS_NOBODY, "python3", "-c", READ), timeout_s=60).stdout
    found = [{each.name for each in text_string_to_metric_families(text)} for text in read.split("#---\n")]
    left = service.machine.run(("test", "-e", FILE), check=False).returncode == 0
    service.machine.run(("sh", "-c", f"mkdir -p {FOLDER} && chown livekit-device {FOLDER}"))
    elsewhere = {"textfile": f"{FOLDER}/device.prom"}
    with service.running(**SYNTHETIC, metrics=elsewhere) as journal:
        refused = journal.event("metrics.file_not_written")
    service.drop_in(f"ReadWritePaths={FOLDER}")
    with service.running(**SYNTHETIC, metrics=elsewhere):
        written = ("test", "-s", elsewhere["textfile"])
        service.machine.wait_for(
            lambda: service.machine.run(written, check=False).returncode == 0, timeout_s=20, what="the file"
        )
    record(
        "metrics: families over HTTP and in a file, as another user; the file after a stop; a folder elsewhere",
        f"{len(found[0])} and {len(found[1])}; {'there' if left else 'removed'}; {refused['why']}, then written",
        must="the same, more than 20; removed; refused, then written",
        ok=found[0] == found[1] and len(found[0]) > 20 and not left and refused["why"] == "Read-only file system",
    )

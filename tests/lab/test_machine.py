"""The lab itself, on which the other tests depend."""

import json
import time

import pytest

from tests.lab import stand_ins
from tests.lab.machine import Machine
from tests.lab.microphone import LABMIC44, LABSTEREO, SOURCES, Microphones
from tests.lab.root import VENV, LabError, built_root, cache

PYTHON = f"{VENV}/bin/python"
CAMERA = """
import json
from picamera2 import Picamera2
with Picamera2(0) as camera:
    frames = []
    for size in ((640, 480), (1280, 720), (1920, 1080)) * 3:
        camera.configure(camera.create_video_configuration(main={"size": size, "format": "YUV420"}))
        camera.start()
        for _ in range(20):
            request = camera.capture_request(wait=5.0)
            frames.append([size, len(request.make_buffer("main")), request.get_metadata()["SensorTimestamp"]])
            request.release()
        camera.stop()
print(json.dumps(frames))
"""
MICROPHONES = """
import json, pyaudio
library = pyaudio.PyAudio()
found = [library.get_device_info_by_index(index) for index in range(library.get_device_count())]
print(json.dumps({d["name"]: [d["defaultSampleRate"], d["maxInputChannels"]] for d in found}))
"""
LISTEN = """
import pyaudio, sys
library = pyaudio.PyAudio()
names = [library.get_device_info_by_index(index)["name"] for index in range(library.get_device_count())]
stream = library.open(44100, 1, pyaudio.paInt16, input=True, input_device_index=names.index("labmic44"))
try:
    while True:
        stream.read(882)
except OSError as error:
    print(error)
"""


def run_python(machine: Machine, program: str) -> str:
    return machine.run((PYTHON, "-c", program), env={"LD_PRELOAD": stand_ins.PRELOAD}).stdout


def test_boots_without_a_failed_unit(bare_machine: Machine) -> None:
    assert bare_machine.systemctl("list-units", "--failed", "--plain", "--no-legend") == ""


def test_two_machines_do_not_collide(bare_machine: Machine) -> None:
    with Machine(built_root(), machines=cache() / "machines") as other:
        other.install({"/etc/only-here": "x"})
        assert bare_machine.run(("test", "-e", "/etc/only-here"), check=False).returncode == 1
        folder = other.root.parent
    assert not folder.exists()


def test_a_timeout_names_what_was_awaited(bare_machine: Machine) -> None:
    with pytest.raises(LabError, match=r"waited 0\.1 s in vain for: the moon \(last seen: False\)"):
        bare_machine.wait_for(lambda: False, timeout_s=0.1, what="the moon")


def test_journal_keeps_priorities(bare_machine: Machine) -> None:
    since_s = time.time()
    bare_machine.run(("systemd-run", "--wait", "--unit=lab-words", "echo", "<3>broken"))
    entries = bare_machine.journal("lab-words.service", since_s=since_s)
    assert [entry["PRIORITY"] for entry in entries if entry["MESSAGE"] == "broken"] == ["3"]


def test_picamera2_delivers_frames_at_each_size_again_and_again(bare_machine: Machine) -> None:
    frames = json.loads(run_python(bare_machine, CAMERA))
    assert len(frames) == 180
    assert all(length == width * height * 3 // 2 for (width, height), length, _ in frames)
    assert [stamp for *_, stamp in frames] == sorted(stamp for *_, stamp in frames)


def test_portaudio_sees_each_microphone_as_narrow_as_hardware(bare_machine: Machine, microphones: Microphones) -> None:
    assert not microphones.readers(LABSTEREO)
    seen = json.loads(run_python(bare_machine, MICROPHONES))
    assert seen == {source.name: [source.rate_hz, source.channels] for source in SOURCES}


def test_unplugging_a_microphone_ends_its_reader(bare_machine: Machine, microphones: Microphones) -> None:
    listen = ("systemd-run", "--quiet", "--unit=lab-listener", f"--setenv=LD_PRELOAD={stand_ins.PRELOAD}", PYTHON)
    bare_machine.run((*listen, "-c", LISTEN))
    bare_machine.wait_for(lambda: microphones.readers(LABMIC44), timeout_s=10, what="a reader")
    microphones.unplug(LABMIC44)
    try:
        bare_machine.wait_for(
            lambda: "Unanticipated host error" in str(bare_machine.journal("lab-listener.service")),
            timeout_s=5,
            what="the reader's error",
        )
    finally:
        microphones.plug(LABMIC44)

"""What the Debian package is made of agrees with the project, and its build refuses what would not run."""

from __future__ import annotations

import argparse
import re
import shutil
import struct
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import device
from debian import places
from debian.completion import completion
from debian.elf import check_libraries, read_elf
from debian.manual import EXIT_CODES, Stamp, arguments, command_page, commands, configuration_page
from debian.places import BuildError
from debian.repository import sources_file
from debian.wheels import LOCK, PYTHON, VENDORED, pinned
from device import cli
from device.config.schema import Config
from device.config.schema_keys import tables_of
from device.errors import ExitCode

CHECKOUT = Path(__file__).parents[2]
STAMP = Stamp(version="1.2.3", date="2026-11-26")
TOML = (CHECKOUT / "config/device.toml").read_text()
CONTROL = (CHECKOUT / "debian/control").read_text()
POSTINST = (CHECKOUT / "debian/livekit-device.postinst").read_text()
DEBIAN_NAMES = {"pillow": "python3-pil", "pyjwt": "python3-jwt"}


def project() -> dict[str, list[str]]:
    found: dict[str, list[str]] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    return found


def test_one_version_everywhere() -> None:
    (newest,) = re.findall(r"^livekit-device \((.+?)\)", (CHECKOUT / "debian/changelog").read_text())[:1]
    assert newest == places.version() == device.__version__


def test_each_dependency_is_vendored_or_one_of_the_packages_with_the_same_lower_bound() -> None:
    depends = CONTROL.partition("\nDepends:")[2].partition("\nRecommends:")[0]
    bounds = dict(re.findall(r"^ (python3-[\w-]+)(?: \(>= (?:1:)?([\d.]+)\))?,?$", depends, re.MULTILINE))
    for line in project()["dependencies"]:
        name, bound = re.fullmatch(r"([\w-]+)>=([\d.]+)(?:,.*)?", line).groups()  # type: ignore[union-attr]
        if name not in VENDORED:
            assert bounds.pop(DEBIAN_NAMES.get(name, f"python3-{name}"), None) == bound, line
    # what the vendored SDK needs; the microphone
    assert set(bounds) == {"python3-aiofiles", "python3-pyaudio"}


def test_the_vendored_packages_are_the_tested_ones_with_hashes() -> None:
    for name in VENDORED:
        entry = pinned(name, LOCK.read_text())
        assert entry.startswith(f"{name}==")
        assert entry.count("--hash=sha256:") >= len(places.ARCHITECTURES)
    with pytest.raises(BuildError, match="no entry with hashes for livekit; run `make lock`"):
        pinned("livekit", "livekit==1.2.1\n")


def test_the_environment_is_for_the_python_that_the_package_asks_for() -> None:
    major, minor = map(int, PYTHON.split("."))
    assert f"python3 (>= {major}.{minor}~)" in CONTROL
    assert f"python3 (<< {major}.{minor + 1})" in CONTROL


def test_maintainer_scripts_are_valid_and_keep_their_order(tmp_path: Path) -> None:
    for script in sorted((CHECKOUT / "debian").glob("livekit-device.p*")):
        copy = tmp_path / script.name
        copy.write_text(script.read_text().replace("#DEBHELPER#", ""))
        subprocess.run(("sh", "-n", copy), check=True)
        assert "#DEBHELPER#" in script.read_text()
        assert "set -e" in script.read_text()
    steps = ("migrate\n", "systemd-sysusers ", "systemd-tmpfiles ", "py3compile ", "others=", "#DEBHELPER#")
    positions = [POSTINST.rindex(step) for step in steps]
    assert positions == sorted(positions)


def move_aside(folder: Path, content: str, *, known: str) -> tuple[int, str]:
    """Run postinst's function on a file of this content; return its result and its output."""
    function = POSTINST.partition("move_aside() {")[2].partition("\n}\n")[0]
    (folder / "packaged").write_text("packaged\n")
    (folder / "unit").write_text(content)
    script = f'move_aside() {{{function}\n}}\nmove_aside {folder}/unit {folder}/packaged "$1"'
    done = subprocess.run(("sh", "-ec", script, "sh", known), capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_file_that_was_installed_by_hand_makes_way_if_it_is_known_and_is_named_if_not(tmp_path: Path) -> None:
    known = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"  # of "x"
    for content in ("packaged\n", "x"):
        code, output = move_aside(tmp_path, content, known=known)
        assert code == 0
        assert "is replaced by" in output
        assert not (tmp_path / "unit").exists()
        assert (tmp_path / "unit.before-package").read_text() == content
    code, output = move_aside(tmp_path, "edited", known=known)
    assert code == 1
    assert f"{tmp_path}/unit was installed by hand, differs" in output
    assert (tmp_path / "unit").read_text() == "edited"
    shutil.copy(tmp_path / "unit", tmp_path / "elsewhere")
    (tmp_path / "unit").unlink()
    (tmp_path / "unit").symlink_to("/dev/null")  # masked


def library(*alignments: int, machine: int = 183, bits: int = 2) -> bytes:
    header = struct.pack(
        "<4sBB10xHHIQQQIHHHHHH", b"\x7fELF", bits, 1, 3, machine, 1, 0, 64, 0, 0, 64, 56, len(alignments), 0, 0, 0
    )
    other = struct.pack("<IIQQQQQQ", 2, 0, 0, 0, 0, 0, 0, 8)  # PT_DYNAMIC
    segments = [struct.pack("<IIQQQQQQ", 1, 0, 0, 0, 0, 0, 0, each) for each in alignments[1:]]
    return header + b"".join([other, *segments])


@pytest.mark.parametrize(
    ("content", "architecture", "complaint"),
    (
        (library(0, 0x10000, 0x4000), "arm64", ""),
        (library(0, 0x10000, 0x1000), "arm64", "aligned to 4096 bytes; pages of 16 KiB need 16384 or a multiple"),
        (library(0), "arm64", "aligned to 0 bytes"),
        (library(0, 0x1000, machine=62), "amd64", ""),
        (library(0, 0x1000, machine=62), "arm64", "is for amd64, not for arm64"),
        (library(0, 0x1000, machine=40), "arm64", "is for 40, not for arm64"),
        (library(0, 0x10000, bits=1), "arm64", "must be a 64-bit, little-endian file"),
        (library(0, 0x10000)[:-1], "arm64", "is truncated"),
        (b"\x7fELF", "arm64", "is truncated"),
    ),
)
def test_a_library_that_would_not_load_fails_the_build(
    tmp_path: Path, content: bytes, architecture: str, complaint: str
) -> None:
    (tmp_path / "text.so").write_text("not ELF")
    path = tmp_path / "folder/library.so"
    path.parent.mkdir()
    path.write_bytes(content)
    if complaint:
        with pytest.raises(BuildError, match=complaint) as caught:
            check_libraries(tmp_path, architecture)
        assert str(path) in str(caught.value)
    else:
        assert check_libraries(tmp_path, architecture) == [path]


def test_a_real_program_is_read() -> None:
    elf = read_elf(Path(sys.executable).resolve())
    assert elf is not None
    assert elf.architecture in places.ARCHITECTURES
    assert elf.alignment_bytes >= 4096
    assert read_elf(Path(__file__)) is None


def test_the_manual_names_every_command_option_and_exit_code() -> None:
    page = command_page(STAMP)
    parser = cli._parser()
    assert set(EXIT_CODES) == set(ExitCode)
    for name, command in commands(parser).items():
        escaped = name.replace("-", "\\-")
        assert f".SS \\fBlivekit\\-device {escaped}\\fR" in page
        for action in arguments(command):
            for option in action.option_strings:
                assert f"\\fB{option.replace('-', chr(92) + '-')}\\fR" in page, (name, option)


def test_the_manual_names_every_table_and_key() -> None:
    page = configuration_page(STAMP, TOML)
    for table, field in Config.model_fields.items():
        if tables_of(field):  # [cameras.NAME] has the keys of [camera]
            assert f"[{table}.NAME]" in page
            continue
        section = page.partition(f".SH [{table.upper()}]\n")[2].partition("\n.SH ")[0]
        if not isinstance(field.annotation, type):  # the user chooses the keys
            assert section
            continue
        for key in field.annotation.model_fields:
            assert f"\\fB{key}\\fR" in section or f"\\fB[{table}.{key}]\\fR" in section, (table, key)
    assert "what this device publishes, and in which room\n" in page.partition(".SH SYNOPSIS")[0]


def test_no_line_of_a_page_is_taken_for_an_order_of_roff() -> None:
    page = configuration_page(STAMP, "# title: x\n#\n# a\n\n[room]\n# .so /etc/shadow\n# 'quoted' \\fB-\nkey = 1\n")
    assert "\\&.so /etc/shadow" in page
    assert "\\&'quoted' \\efB\\-" in page


def complete(*words: str) -> list[str]:
    ask = 'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _livekit_device; printf "%s\\n" "${COMPREPLY[@]}"'
    script = f"{completion()}\n{ask}"
    done = subprocess.run(
        ("bash", "-c", script, "bash", *words), capture_output=True, text=True, check=True, cwd=CHECKOUT
    )
    return [line for line in done.stdout.splitlines() if line]


def test_bash_completes_commands_options_and_files() -> None:
    assert set(complete("livekit-device", "")) == {*commands(cli._parser()), "-h", "--help", "--version"}
    assert complete("livekit-device", "view") == ["viewer", "viewer-token"]
    assert complete("livekit-device", "devices", "--j") == ["--json"]
    assert "--config" in complete("livekit-device", "run", "-")
    assert complete("livekit-device", "viewer", "--bind", "") == []
    for name, command in commands(cli._parser()).items():
        options = {option for action in arguments(command) for option in action.option_strings}
        assert set(complete("livekit-device", name, "-")) == options
    assert complete("livekit-device", "privacy", "o") == ["on", "off"]
    assert complete("livekit-device", "set", "camera.bitrate_m") == [
        "camera.bitrate_max_bps=",
        "camera.bitrate_min_bps=",
    ]
    assert "camera.controls." in complete("livekit-device", "set", "camera.c")
    # compopt works only while a shell completes, so the test replaces it.
    found = subprocess.run(
        ("bash", "-c", completion() + "\ncompopt() { :; }\nCOMP_WORDS=(livekit-device run --config config/dev)\n"
         'COMP_CWORD=3; _livekit_device; echo "${COMPREPLY[@]}"'),
        capture_output=True, text=True, check=True, cwd=CHECKOUT,
    )  # fmt: skip
    assert found.stdout == "config/device.toml\n"
    found = subprocess.run(
        ("bash", "-c", completion() + "\ncompopt() { :; }\nCOMP_WORDS=(livekit-device import-boot --folder conf)\n"
         'COMP_CWORD=3; _livekit_device; echo "${COMPREPLY[@]}"'),
        capture_output=True, text=True, check=True, cwd=CHECKOUT,
    )  # fmt: skip
    assert found.stdout == "config\n"


def test_an_option_with_choices_completes_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = argparse.ArgumentParser(prog="livekit-device")
    run = parser.add_subparsers().add_parser("run")
    run.add_argument("--level", choices=("info", "debug"))
    monkeypatch.setattr(cli, "_parser", lambda: parser)
    assert complete("livekit-device", "run", "--level", "") == ["info", "debug"]


def test_the_sources_file_contains_the_key_in_deb822_format() -> None:
    text = sources_file("https://example.org/apt", "-----BEGIN-----\n\nabc\n-----END-----\n")
    assert text.splitlines()[:4] == [
        "Types: deb",
        "URIs: https://example.org/apt",
        "Suites: trixie",
        "Components: main",
    ]
    assert text.endswith("Signed-By:\n -----BEGIN-----\n .\n abc\n -----END-----\n")

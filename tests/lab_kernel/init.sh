#!/bin/sh
# PID 1 of the machine: what the guest program needs, the program, and the end.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin LC_ALL=C.UTF-8 HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
ip link set lo up 2>/dev/null
cd /lab/checkout && PYTHONFAULTHANDLER=1 PYTHONPATH=/lab/checkout /opt/livekit-device/bin/python -m tests.lab_kernel.guest
sync
echo o >/proc/sysrq-trigger
sleep 30

#!/bin/sh
# What containers and the kubelet need of a host of the lab, without a change to the machine.
set -eu

# systemd-nspawn shows a host its own cgroups to read only; containers get some below them
for kind in cpu cpuacct cpuset memory devices freezer blkio pids; do
	mount -o remount,rw,bind "/sys/fs/cgroup/$kind"
done

# the kubelet wants these as they are here, and would set them for the whole machine: it is shown
# what it wants instead
mkdir -p /run/loopback-lab
while read -r name value; do
	echo "$value" >"/run/loopback-lab/$(basename "$name")"
	mount --bind "/run/loopback-lab/$(basename "$name")" "/proc/sys/$name"
done <<-END
	vm/overcommit_memory 1
	vm/panic_on_oom 0
	kernel/panic 10
	kernel/panic_on_oops 1
	kernel/keys/root_maxkeys 1000000
	kernel/keys/root_maxbytes 25000000
END
# where it listens for what the kernel killed for memory; the machine's own is not for a host
ln -sf /dev/null /dev/kmsg

sysctl -q -w net.ipv4.ip_forward=1
nft -f /etc/loopback-lab/api.nft

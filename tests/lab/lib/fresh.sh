# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# A machine as somebody new to the project has it: a minimal Debian with git, this machine's mirror without backports, and a clean clone.
# No host of the lab (it has no systemd of its own): a mount and a pid namespace in which the README's commands are tried.

make_fresh_root() { # ROOT
  local sources
  mkdir -p "$CACHE"
  say "making a fresh Debian in $1"
  sources=$(apt_sources | grep -v -- -backports)
  apt_sources() { echo "$sources"; }
  mmdebstrap_with_our_apt --variant=minbase --include=git,ca-certificates "$1"
  git clone -q --no-local --no-hardlinks "$REPO" "$1/root/swarm-agent"
}

# Becomes the first process of the machine.
enter_fresh_root() { # ROOT CMD…
  exec unshare --mount --pid --fork --kill-child --propagation private bash -c '
    set -e
    root=$1
    shift
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
    mount --rbind /dev "$root/dev"
    for d in run tmp; do mount -t tmpfs tmpfs "$root/$d"; done
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    mkdir -p "$root/mnt/old"
    cd "$root"
    pivot_root . mnt/old
    umount -l /mnt/old
    cd /root/swarm-agent
    exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LAB="$LAB" "$@"' fresh "$@"
}

lab_fresh() { # CMD…
  local root=$D/fresh
  lock
  rm -rf --one-file-system "$root"
  make_fresh_root "$root"
  (
    exec 8>&- 9>&-
    export LAB=$LAB-fresh
    enter_fresh_root "$root" "$@"
  )
}

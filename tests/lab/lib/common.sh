# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What all parts of the lab share: names, paths, messages, bounded waits.

REPO=$(readlink -f "$LABHOME/../..")
CACHE=${SWARM_LAB_CACHE:-/var/cache/swarm-agent-lab}
LABROOT=${SWARM_LAB_DIR:-/var/tmp/swarm-agent-lab}

# Each source tree has a lab of its own unless LAB= says otherwise.
LAB=${LAB:-$("$LABHOME/../lib/lab-name")}
PFX=swlab-$LAB           # network namespaces, cgroups and scopes of this lab begin so; nothing else is ever touched
SW=$PFX-switch           # the network namespace that holds the bridge, the registry and `lab net`
D=$LABROOT/$LAB          # everything this lab keeps
NET=10.99.0
REGISTRY=$NET.250

die() { echo "lab: $*" >&2; exit 1; }
say() { [ -n "${LAB_QUIET:-}" ] || echo "lab: $*" >&2; }

# wait_for SECONDS WHAT COMMAND…: every wait of the lab is bounded and says what it waited for. LAB_PATIENCE=N stretches
# them on slow machines.
wait_for() {
  local limit=$(($1 * ${LAB_PATIENCE:-1})) what=$2 end
  shift 2
  end=$((SECONDS + limit + 1))
  until "$@"; do
    [ $SECONDS -lt $end ] || { echo "lab: gave up after $limit s waiting for $what" >&2; return 1; }
    sleep 0.02
  done
}

seconds_since() { # START (of $EPOCHREALTIME) → "1.2"
  awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'
}

is_mounted() { mountpoint -q "$1"; }

host_address() { echo "$NET.${1#n}"; }

check_host_name() {
  [[ "$1" =~ ^n([1-9][0-9]?)$ ]] || die "\"$1\" is no host of a lab: hosts are n1, n2, …"
}

known_hosts_of_lab() { # in order of their numbers
  [ ! -d "$D/hosts" ] || find "$D/hosts" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort -V
}

# Bind what a command needs over a root and run it there; DIR appears as /mnt. Nothing of it is seen outside.
in_root() { # ROOT DIR CMD…
  local root=$1 dir=$2
  shift 2
  unshare --mount --propagation private bash -c '
    set -e; root=$1; dir=$2; shift 2
    mount -t proc proc "$root/proc"
    mount -t tmpfs tmpfs "$root/tmp"; mount -t tmpfs tmpfs "$root/run"; mount -t tmpfs tmpfs "$root/var/tmp"
    mount -t tmpfs tmpfs "$root/dev"
    for d in null:3 zero:5 random:8 urandom:9; do mknod -m 666 "$root/dev/${d%:*}" c 1 "${d#*:}"; done
    [ -z "$dir" ] || mount --rbind "$dir" "$root/mnt"
    exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"' in_root "$root" "$dir" "$@"
}

# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# One host: its disk, boot, ends, and ways in.
#   hosts/NAME/up work   the host's changes, over the installed build and the shared root
#   hosts/NAME/root      the whole, mounted
#   hosts/NAME/vol       /var/lib/containers (podman refuses overlay on overlay)
#   hosts/NAME/state.img /var/lib/swarm-agent: an ext4 of its own, so that a power cut loses what was not synced

STATE_SIZE=128M

is_up() { # HOST: its PID 1 is alive and of this boot
  local pid mine="" its=""
  { read -r pid < "$D/hosts/$1/pid1" && read -r mine < "$D/hosts/$1/boot_id" && read -r its < "/proc/$pid/root/proc/sys/kernel/random/boot_id"; } 2> /dev/null
  [ -n "$mine" ] && [ "$mine" = "$its" ]
}

need_up() { check_host_name "$1"; is_up "$1" || die "$1 is not up ($(lab_name))"; }

lab_name() { echo "lab $LAB"; }

new_disk() { # HOST
  local h=$D/hosts/$1
  mkdir -p "$h"/{up/etc,work,root,vol,state}
  echo "$1" > "$h/up/etc/hostname"
  tr -d - < /proc/sys/kernel/random/uuid > "$h/up/etc/machine-id"
  ls -d "$D"/inst.*/ | sort -V | tail -1 > "$h/inst"
  truncate -s $STATE_SIZE "$h/state.img"
  mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 -J size=4 -m 0 "$h/state.img"
}

mount_disk() { # HOST
  local h=$D/hosts/$1 inst
  read -r inst < "$h/inst"
  is_mounted "$h/root" || mount -t overlay "$PFX-$1" -o "lowerdir=${inst%/}:$BASE,upperdir=$h/up,workdir=$h/work" "$h/root"
  is_mounted "$h/state" || mount -o loop "$h/state.img" "$h/state"
  mkdir -p "$h/root/var/lib/containers" "$h/root/var/lib/swarm-agent" "$h/root/mnt/old"
  # as the unit's StateDirectory= would: mode and owner live in the mounted file system
  chmod 700 "$h/state"
}

unmount_disk() { # HOST
  local h=$D/hosts/$1 m
  for m in state root; do
    wait_for 10 "$h/$m to be unmounted" unmount_once "$h/$m" || umount -l "$h/$m"
  done
}

unmount_once() { ! is_mounted "$1" || umount "$1" 2> /dev/null; }

start_host() { # HOST
  local h=$D/hosts/$1
  rm -f "$h/pid1"
  make_cgroups "$1"
  plug "$1"
  # the lab's locks and a caller's pipes must not live on in the host
  (
    exec 8>&- 9>&- < /dev/null > "$h/console.log" 2>&1
    in_new_cgroups "$1" setsid bash "$LABHOME/lib/boot" "$1" "$D" "$PFX" "$(cgroup_kind)" "$LABHOME"
  ) &
  disown
}

pid1_is_known() { [ -s "$D/hosts/$1/pid1" ]; }
# until PID 1 has its own root, /run there is still the machine's
systemd_answers() { local p; read -r p < "$D/hosts/$1/pid1"; [ ! -d "/proc/$p" ] || { is_up "$1" && [ -S "/proc/$p/root/run/systemd/private" ]; }; }

boot_host() { # HOST: until its systemd says that it runs
  local h=$D/hosts/$1 start=$EPOCHREALTIME state
  if is_up "$1"; then
    say "$1 is up"
    return
  fi
  stop_leftovers "$1"
  [ -e "$h/inst" ] || new_disk "$1"
  mount_disk "$1"
  start_host "$1"
  wait_for 20 "PID 1 of $1 (see $h/console.log)" pid1_is_known "$1" || return 1
  wait_for 60 "the systemd of $1 (see $h/console.log)" systemd_answers "$1" || return 1
  is_up "$1" || {
    echo "lab: PID 1 of $1 ended at once; see $h/console.log (is fs.inotify.max_user_instances too low? a host takes 6)" >&2
    tail -5 "$h/console.log" >&2
    return 1
  }
  state=$(exec_in "$1" timeout $((90 * ${LAB_PATIENCE:-1})) systemctl is-system-running --wait) || true
  case $state in
    running) say "$1 running ($(seconds_since "$start") s)" ;;
    degraded) say "$1 degraded ($(seconds_since "$start") s): failed $(exec_in "$1" systemctl list-units --failed --plain --no-legend | awk '{ printf "%s ", $1 }')" ;;
    *) echo "lab: $1 did not come up within 90 s: ${state:-no answer}" >&2; return 1 ;;
  esac
}

# What a killed run may have left of a host that is not up.
stop_leftovers() { # HOST
  [ ! -e "$D/cgroups/$1" ] || freeze "$1" 0 2> /dev/null || true
  remove_cgroups "$1"
  unplug "$1"
  [ ! -d "$D/hosts/$1" ] || unmount_disk "$1"
  rm -f "$D/hosts/$1/pid1"
}

is_down() { ! is_up "$1"; }

stop_host() { # HOST: poweroff, as its administrator would
  need_up "$1"
  local start=$EPOCHREALTIME pid
  read -r pid < "$D/hosts/$1/pid1"
  kill -s RTMIN+4 "$pid"
  wait_for 120 "$1 to power off" is_down "$1" || say "$1 is killed"
  stop_leftovers "$1"
  say "$1 off ($(seconds_since "$start") s)"
}

# A true power cut. The cable goes first, so that no FIN of the dying kernel gets out; then everything stands still and the
# disk is copied as it is: what was not synced is not in the copy. Only then is the host killed; it boots from the copy.
crash_host() { # HOST
  need_up "$1"
  local h=$D/hosts/$1 start=$EPOCHREALTIME pids
  pull_cable "$1"
  freeze "$1" 1
  cp --sparse=always "$h/state.img" "$h/state.cut"
  pids=$(cgroup_members "$1")
  # a frozen process takes its SIGKILL before anything else when it thaws
  # shellcheck disable=SC2086
  kill -9 $pids 2> /dev/null || true
  freeze "$1" 0 2> /dev/null || true # where the groups of the dead are not gone already
  wait_for 10 "$1 to be gone" is_down "$1"
  stop_leftovers "$1"
  mv "$h/state.cut" "$h/state.img"
  say "$1 lost its power ($(seconds_since "$start") s)"
}

# Run a command in a host: in its control groups, then in its namespaces. Standard streams pass through.
exec_in() { # HOST CMD…
  local pid host=$1
  shift
  read -r pid < "$D/hosts/$host/pid1"
  [ $# -gt 0 ] || set -- bash
  (
    enter_cgroups "$host" payload/lab-exec
    exec 8>&- 9>&-
    exec nsenter -t "$pid" -m -u -i -n -p -C -r -w \
      env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" "$@"
  )
}

run_in() { # HOST CMD…: as a transient service, the environment a unit has
  local host=$1
  shift
  exec_in "$host" systemd-run --quiet --wait --pipe --collect --service-type=exec -E HOME=/root -E LANG=C.UTF-8 "$@"
}

# The agent's clock: an offset in a file that libfaketime reads again at each use. Timers stay true.
set_clock() { # HOST OFFSET|off
  local root=$D/hosts/$1/root dropin=/etc/systemd/system/swarm-agent.service.d/lab-clock.conf
  need_up "$1"
  case $2 in
    off)
      rm -f "$root$dropin" "$root/etc/lab-clock"
      exec_in "$1" systemctl daemon-reload
      exec_in "$1" systemctl try-restart swarm-agent.service
      say "$1: the agent's clock is the machine's"
      return
      ;;
    [+-]*[0-9smhdy] | 0) ;;
    *) die "clock: \"$2\" is no offset (+90d, -1h, +30m, 0, off)" ;;
  esac
  local offset=$2
  [ "$offset" != 0 ] || offset=+0
  echo "$offset" > "$root/etc/lab-clock.new"
  mv "$root/etc/lab-clock.new" "$root/etc/lab-clock"
  if [ ! -e "$root$dropin" ]; then
    mkdir -p "$root$(dirname $dropin)"
    cat > "$root$dropin" << END
[Service]
Environment=LD_PRELOAD=$(cd "$BASE" && find usr/lib -name libfaketime.so.1 -printf '/%p\n' | head -1)
Environment=FAKETIME_TIMESTAMP_FILE=/etc/lab-clock FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_RESET=1
END
    exec_in "$1" systemctl daemon-reload
    exec_in "$1" systemctl try-restart swarm-agent.service
  fi
  say "$1: the agent's clock is off by $offset"
}

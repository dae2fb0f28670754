# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# A control group per host. Three kinds of machines:
#   v1       several hierarchies, PID 1 need not be systemd: a directory of our own in each, which the host sees as its root
#   scope    unified, PID 1 is systemd: a delegated scope, so that nothing is written where systemd writes
#   v2       unified, no systemd: a directory of our own
# On the unified ones it holds payload/ (the host's root; payload/lab-exec for `lab exec`) and supervisor/ (the parent of the
# host's PID 1), for a group with members cannot pass controllers on.

cgroup_kind() {
  if [ "$(stat -fc %T /sys/fs/cgroup)" != cgroup2fs ]; then
    echo v1
  elif [ -d /run/systemd/system ]; then
    echo scope
  else
    echo v2
  fi
}

v1_controllers() { # the hierarchies that a host's systemd is given, as far as this machine mounts them
  local c
  for c in cpu cpuacct cpuset devices freezer blkio pids memory systemd; do
    [ -d "/sys/fs/cgroup/$c" ] && echo $c
  done
  return 0
}

# The directories of NAME (a host, or "switch"), one a line.
cgroup_dirs() { # NAME
  local c own
  case $(cgroup_kind) in
    v1)
      for c in $(v1_controllers); do
        # memory: below this shell's own group, for its limits hold for the lab too
        own=""
        [ "$c" != memory ] || own=$(awk -F: '$2 == "memory" { print $3 }' /proc/self/cgroup)
        echo "/sys/fs/cgroup/$c${own%/}/$PFX-$1"
      done
      [ ! -d /sys/fs/cgroup/unified ] || echo "/sys/fs/cgroup/unified/$PFX-$1"
      ;;
    v2) echo "/sys/fs/cgroup/$PFX-$1" ;;
    scope) echo "/sys/fs/cgroup/system.slice/$PFX-$1.scope" ;;
  esac
}

make_cgroups() { # NAME; their list is kept, for the shell that ends them may sit elsewhere
  local g
  mkdir -p "$D/cgroups"
  cgroup_dirs "$1" > "$D/cgroups/$1"
  [ "$(cgroup_kind)" != scope ] || return 0
  while read -r g; do
    mkdir -p "$g"
    case $g in
      */cpuset/*)
        cat /sys/fs/cgroup/cpuset/cpuset.cpus > "$g/cpuset.cpus"
        cat /sys/fs/cgroup/cpuset/cpuset.mems > "$g/cpuset.mems"
        echo 1 > "$g/cgroup.clone_children"
        ;;
    esac
    [ "$(cgroup_kind)" = v1 ] || mkdir -p "$g/payload" "$g/supervisor"
  done < "$D/cgroups/$1"
}

# Put this shell into NAME's groups; what it starts stays there.
enter_cgroups() { # NAME [SUBGROUP, on unified machines]
  local g sub=""
  [ "$(cgroup_kind)" = v1 ] || sub=/${2:-supervisor}
  while read -r g; do
    [ -d "$g$sub" ] || mkdir -p "$g$sub"
    echo "$BASHPID" > "$g$sub/cgroup.procs"
  done < "$D/cgroups/$1"
}

# Run a command that becomes the first member of NAME's groups. A scope lives as long as it has members.
in_new_cgroups() { # NAME CMD…
  local name=$1
  shift
  if [ "$(cgroup_kind)" = scope ]; then
    exec systemd-run --quiet --scope --collect --slice=system.slice -p Delegate=yes --unit="$PFX-$name.scope" "$@"
  fi
  enter_cgroups "$name" supervisor
  exec "$@"
}

cgroup_members() { # NAME
  local g
  [ -e "$D/cgroups/$1" ] || return 0
  while read -r g; do
    [ ! -d "$g" ] || find "$g" -name cgroup.procs -exec cat {} + 2> /dev/null
  done < "$D/cgroups/$1" | sort -un
}

freeze() { # NAME 1|0: stop every process of a host where it is (or let it go on)
  local g
  while read -r g; do
    if [ -e "$g/freezer.state" ]; then
      if [ "$2" = 1 ]; then echo FROZEN > "$g/freezer.state"; else echo THAWED > "$g/freezer.state"; fi
      [ "$2" = 0 ] || wait_for 5 "$1 to stand still" grep -qx FROZEN "$g/freezer.state"
    elif [ -e "$g/cgroup.freeze" ] && [[ $g != */unified/* ]]; then
      echo "$2" > "$g/cgroup.freeze"
      [ "$2" = 0 ] || wait_for 5 "$1 to stand still" grep -qx 'frozen 1' "$g/cgroup.events"
    fi
  done < "$D/cgroups/$1"
}

no_members() { [ -z "$(cgroup_members "$1")" ]; }

# Kill whatever is left in NAME's groups and remove them.
remove_cgroups() { # NAME
  local g pids
  [ -e "$D/cgroups/$1" ] || return 0
  pids=$(cgroup_members "$1")
  # shellcheck disable=SC2086
  [ -z "$pids" ] || kill -9 $pids 2> /dev/null || true
  wait_for 10 "the processes of $1 to end" no_members "$1" || true
  while read -r g; do
    wait_for 5 "$g to be removed" remove_tree "$g" || true
  done < "$D/cgroups/$1"
  rm -f "$D/cgroups/$1"
}

remove_tree() { # DIRECTORY of a control group file system
  [ -d "$1" ] || return 0
  find "$1" -depth -type d -exec rmdir {} + 2> /dev/null
  [ ! -d "$1" ]
}

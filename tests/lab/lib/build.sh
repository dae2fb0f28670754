# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# The build that the hosts run, and its installation into them.

# Sets BUILD. LAB_BUILD=DIR takes a build that is there (and only brings it up to date).
need_build() {
  local start=$EPOCHREALTIME
  BUILD=${LAB_BUILD:-$REPO/build-lab}
  if [ ! -e "$BUILD/build.ninja" ]; then
    say "setting up the build in $BUILD"
    meson setup "$BUILD" "$REPO" --prefix=/usr --sysconfdir=/etc --localstatedir=/var > "$D/build.log" 2>&1 ||
      { tail -30 "$D/build.log" >&2; die "meson setup failed"; }
  fi
  exec 7> "$BUILD/.lab-lock"
  flock -w 900 7 || die "another build holds $BUILD"
  ninja -C "$BUILD" -j "${LAB_JOBS:-2}" > "$D/build.log" 2>&1 || { grep -A20 -m5 -E 'error:|FAILED' "$D/build.log" >&2; die "the build failed (the whole log: $D/build.log)"; }
  exec 7>&-
  say "build up to date ($(seconds_since "$start") s)"
}

install_into() { # ROOT
  DESTDIR=$1 meson install -C "$BUILD" --no-rebuild --quiet > "$D/install.log" 2>&1 || { tail -20 "$D/install.log" >&2; die "meson install failed"; }
  in_root "$1" "" systemd-sysusers > "$D/sysusers.log" 2>&1 || { cat "$D/sysusers.log" >&2; die "systemd-sysusers failed"; }
  in_root "$1" "" journalctl --update-catalog > "$D/catalog.log" 2>&1 || { cat "$D/catalog.log" >&2; die "journalctl --update-catalog failed"; }
}

has_agent_unit() { [ -e "$1/usr/lib/systemd/system/swarm-agent.service" ]; }

# A layer between the shared root and the hosts' own disks. Hosts that are there keep the one they began with.
make_install_layer() {
  local n=1 dir merged=$D/merged
  while [ -e "$D/inst.$n" ]; do n=$((n + 1)); done
  dir=$D/inst.$n.new
  rm -rf --one-file-system "$dir" "$D/inst.work"
  mkdir -p "$dir" "$D/inst.work" "$merged"
  ! is_mounted "$merged" || umount "$merged"
  mount -t overlay "$PFX-inst" -o "lowerdir=$BASE,upperdir=$dir,workdir=$D/inst.work" "$merged"
  install_into "$merged"
  if has_agent_unit "$merged"; then
    in_root "$merged" "" systemctl --quiet enable swarm-agent.service 2> "$D/enable.log" || { cat "$D/enable.log" >&2; die "swarm-agent.service cannot be enabled"; }
  else
    say "notice: the build has no swarm-agent.service yet"
  fi
  umount "$merged"
  rm -rf --one-file-system "$D/inst.work"
  mv "$dir" "$D/inst.$n"
}

# `lab install`: the current build into hosts that run.
install_into_hosts() { # HOST…
  local n
  for n; do
    install_into "$D/hosts/$n/root"
    exec_in "$n" systemctl daemon-reload
    exec_in "$n" systemd-tmpfiles --create 2> /dev/null || true
    exec_in "$n" systemctl reload dbus.service
    if has_agent_unit "$D/hosts/$n/root"; then
      exec_in "$n" systemctl --quiet enable swarm-agent.service
      exec_in "$n" systemctl try-restart swarm-agent.service || say "$n: the agent did not restart"
    fi
    say "$n has the current build"
  done
}

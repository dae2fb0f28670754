# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# The root that all hosts share (read-only, below an overlay) and the images of the lab's registry, both kept between runs.

HOST_PACKAGES=systemd,systemd-sysv,dbus,polkitd,libpam-systemd,passwd,util-linux,procps,kmod,iproute2,iputils-ping,iptables,nftables,curl,openssl,ca-certificates
HOST_PACKAGES+=,wireguard-go,podman,crun,conmon,netavark,aardvark-dns,skopeo,docker-registry,busybox-static
HOST_PACKAGES+=,libglib2.0-0,libjson-glib-1.0-0,libdbus-1-3,libsystemd0,libssl3,libfaketime,libasan8,libubsan1,strace,jq,openssh-server,openssh-client
RAFT_PACKAGE=libraft0
IMAGE_PACKAGES=nginx

release() {
  # shellcheck disable=SC1091
  (. /etc/os-release; [ -n "${VERSION_CODENAME:-}" ] || die "no VERSION_CODENAME in /etc/os-release: is this Debian?"; echo "$VERSION_CODENAME")
}

# This machine's apt sources for its release, its updates, security and backports, in one-line form.
apt_sources() {
  local r
  r=$(release)
  { apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Identifier: Packages'
    apt-get indextargets --no-release-info --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Identifier: Packages'
  } 2> /dev/null | sort -u | awk -v r="$r" '($1 == r || $1 == r "-updates" || $1 == r "-security" || $1 == r "-backports") && $2 == "main" {
    if ($3 ~ /^mirror\+file:/) { f = $3; sub(/^mirror\+file:/, "", f); if ((getline line < f) > 0) { split(line, w, /[ \t]/); $3 = w[1] } }
    print "deb", $3, $1, "main" }'
}

mmdebstrap_with_our_apt() { # OPTIONS… TARGET
  local target=${*: -1} proxy="" opts
  eval "$(apt-config shell proxy Acquire::http::Proxy)"
  opts=("${@:1:$#-1}")
  [ -z "$proxy" ] || opts+=("--aptopt=Acquire::http::Proxy \"$proxy\"")
  apt_sources | mmdebstrap --quiet --aptopt='Acquire::Retries "3"' "${opts[@]}" "$(release)" "$target" - > "$CACHE/mmdebstrap.log" 2>&1 ||
    { tail -20 "$CACHE/mmdebstrap.log" >&2; die "mmdebstrap failed (the whole log: $CACHE/mmdebstrap.log)"; }
}

base_key() { { echo "$HOST_PACKAGES,$RAFT_PACKAGE,$IMAGE_PACKAGES"; release; cat "$LABHOME/lib/base.sh" "$LABHOME/lib/images.sh"; } | sha256sum | cut -c1-12; }

make_base() { # DIR
  say "building the root of the hosts (once; about a minute)"
  mmdebstrap_with_our_apt --variant=minbase --include="$HOST_PACKAGES,$RAFT_PACKAGE/$(release)-backports" "$1"
  configure_root "$1"
}

configure_root() { # ROOT
  local root=$1 unit i
  # units that are only noise in a test host, and a registry that is started by hand
  for unit in podman-auto-update.service podman-auto-update.timer podman-restart.service podman.service podman.socket e2scrub_reap.service e2scrub_all.timer \
    apt-daily.timer apt-daily-upgrade.timer fstrim.timer dpkg-db-backup.timer systemd-pstore.service systemd-modules-load.service \
    getty@tty1.service console-getty.service docker-registry.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
  done
  # sshd is there, for the scenario that starts it
  rm -f "$root"/etc/systemd/system/{sshd.service,multi-user.target.wants/ssh.service}
  mkdir -p "$root/etc/systemd/journald.conf.d" "$root/etc/systemd/system.conf.d" "$root/var/log/journal" "$root/etc/containers/registries.conf.d"
  printf '[Journal]\nStorage=persistent\nSystemMaxUse=64M\nRateLimitIntervalSec=0\n' > "$root/etc/systemd/journald.conf.d/lab.conf"
  printf '[Manager]\nDefaultTimeoutStopSec=30s\n' > "$root/etc/systemd/system.conf.d/lab.conf"
  # Docker's names lead to the lab's registry.
  cat > "$root/etc/containers/registries.conf.d/lab.conf" << END
unqualified-search-registries = ["docker.io"]
short-name-mode = "permissive"
[[registry]]
prefix = "docker.io"
location = "$REGISTRY:5000"
insecure = true
[[registry]]
prefix = "$REGISTRY:5000"
location = "$REGISTRY:5000"
insecure = true
END
  rm -f "$root"/etc/cni/net.d/*.conflist
  mkdir -p "$root/etc/containers/containers.conf.d"
  printf '[network]\nnetwork_backend = "netavark"\n' > "$root/etc/containers/containers.conf.d/lab.conf"
  { echo "127.0.0.1 localhost"; echo "$REGISTRY registry"; for i in $(seq 99); do echo "$NET.$i n$i"; done; } > "$root/etc/hosts"
  : > "$root/etc/resolv.conf"
  rm -f "$root/etc/machine-id" "$root/var/lib/dbus/machine-id"
  : > "$root/etc/machine-id"
  rm -rf "$root"/var/cache/apt/*.bin "$root"/var/lib/apt/lists/*
}

# Sets BASE (the root) and IMAGES (the registry's storage), building them if they are not there.
need_base() {
  local key
  key=$(base_key)
  BASE=$CACHE/base-$key
  IMAGES=$CACHE/images-$key
  [ ! -e "$IMAGES/.done" ] || { touch "$BASE.used"; return 0; }
  mkdir -p "$CACHE"
  exec 8> "$CACHE/lock"
  flock -n 8 || { say "waiting for another lab that builds the root (at most 15 minutes)" && flock -w 900 8; } || die "another lab holds $CACHE/lock"
  if [ ! -e "$BASE/.done" ]; then
    rm -rf --one-file-system "$BASE" "$BASE.new"
    make_base "$BASE.new"
    mv "$BASE.new" "$BASE"
    touch "$BASE/.done"
  fi
  if [ ! -e "$IMAGES/.done" ]; then
    rm -rf --one-file-system "$IMAGES" "$IMAGES.new"
    make_images "$IMAGES.new"
    mv "$IMAGES.new" "$IMAGES"
    touch "$IMAGES/.done"
  fi
  exec 8>&-
}

# Roots and images that no lab has used for a week.
prune_cache() {
  local used
  for used in "$CACHE"/base-*.used; do
    [ -e "$used" ] && [ -n "$(find "$used" -mtime +7)" ] || continue
    ! grep -q "lowerdir=[^ ]*${used%.used}" /proc/self/mountinfo || continue
    say "removing $(basename "${used%.used}"), unused for a week"
    rm -rf --one-file-system "${used%.used}" "$CACHE/images-${used##*base-}" "$used"
  done
}

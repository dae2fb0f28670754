# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# One real machine: Debian's own kernel in QEMU, unified cgroup v2, a clock and disk of its own. Emulated, so that it runs
# everywhere (about 30 s to boot); LAB_VM_ACCEL=kvm is faster where KVM can be trusted. LAB_VM_TPM=NAME gives it a TPM of that name (swtpm), which
# keeps what it knows until the lab is taken down; LAB_VM_AGAIN=1 boots the disk of the last time, as another machine would. LAB_VM_QEMU holds more arguments.

VM_PACKAGES=linux-image-cloud-$(dpkg --print-architecture),initramfs-tools,kmod,libtss2-esys-3.0.2-0,libtss2-rc0

# Sets VMROOT, the guest's root without our build.
need_vm_root() {
  VMROOT=$CACHE/vm-$(base_key)-$(cksum <<< "$VM_PACKAGES" | cut -d' ' -f1)
  [ ! -e "$VMROOT/.done" ] || return 0
  exec 8> "$CACHE/lock"
  flock -w 900 8 || die "another lab holds $CACHE/lock"
  if [ ! -e "$VMROOT/.done" ]; then
    say "building the root of the virtual machine (once; about two minutes)"
    rm -rf --one-file-system "$VMROOT" "$VMROOT.new"
    mmdebstrap_with_our_apt --variant=minbase --include="$HOST_PACKAGES,$RAFT_PACKAGE/$(release)-backports,$VM_PACKAGES" "$VMROOT.new"
    configure_root "$VMROOT.new"
    rm -f "$VMROOT.new/etc/systemd/system/systemd-modules-load.service"
    mv "$VMROOT.new" "$VMROOT"
    touch "$VMROOT/.done"
  fi
  exec 8>&-
}

# A service that runs the story at each boot, as BOOT 1, 2, …, with the second serial line as its output.
vm_story() { # ROOT SCRIPT
  local root=$1
  install -m 755 "$2" "$root/root/story"
  cp "$LABHOME/lib/vm-boot" "$root/root/vm-boot"
  echo vm1 > "$root/etc/hostname"
  echo "/dev/vda / ext4 defaults 0 1" > "$root/etc/fstab"
  cat > "$root/etc/systemd/system/lab-story.service" << 'END'
[Unit]
Description=What the virtual machine was booted for
After=multi-user.target dbus.service
[Service]
Type=exec
ExecStart=/bin/bash /root/vm-boot
StandardOutput=file:/dev/ttyS1
StandardError=file:/dev/ttyS1
TTYPath=/dev/ttyS1
[Install]
WantedBy=multi-user.target
END
  in_root "$root" "" systemctl --quiet enable lab-story.service
}

make_vm_disk() { # SCRIPT
  local merged=$D/merged up=$D/vm/up
  mkdir -p "$merged" "$up" "$D/vm/work"
  ! is_mounted "$merged" || umount "$merged"
  mount -t overlay "$PFX-vm" -o "lowerdir=$VMROOT,upperdir=$up,workdir=$D/vm/work" "$merged"
  install_into "$merged"
  mkdir -p "$merged/srv/registry"
  cp -a "$IMAGES/registry/." "$merged/srv/registry/"
  registry_config /srv/registry "$REGISTRY" > "$merged/srv/registry.yml"
  vm_story "$merged" "$1"
  [ -z "${LAB_VM_EXTRA:-}" ] || cp -a "$LAB_VM_EXTRA/." "$merged/"
  truncate -s "${LAB_VM_DISK:-4G}" "$D/vm/disk.img"
  mkfs.ext4 -q -E lazy_itable_init=1 -d "$merged" "$D/vm/disk.img"
  cp "$merged"/boot/vmlinuz-* "$D/vm/kernel"
  cp "$merged"/boot/initrd.img-* "$D/vm/initrd"
  umount "$merged"
}

# The TPM $LAB_VM_TPM: a process that ends with the virtual machine. Sets VM_TPM, QEMU's arguments.
start_tpm() {
  local dir=$D/tpm-$LAB_VM_TPM sock=/run/$PFX-tpm i
  [[ "$LAB_VM_TPM" =~ ^[a-z0-9-]+$ ]] || die "LAB_VM_TPM: a name of letters and digits"
  command -v swtpm > /dev/null || die "no swtpm here"
  mkdir -p "$dir"
  rm -f "$sock"
  swtpm socket --tpm2 --tpmstate "dir=$dir" --ctrl "type=unixio,path=$sock" --terminate < /dev/null > "$dir.log" 2>&1 8>&- 9>&- &
  for i in $(seq 100); do [ ! -S "$sock" ] || break; sleep 0.1; done
  [ -S "$sock" ] || { cat "$dir.log" >&2; die "swtpm did not start"; }
  VM_TPM="-chardev socket,id=tpm-socket,path=$sock -tpmdev emulator,id=tpm0,chardev=tpm-socket -device tpm-tis,tpmdev=tpm0"
}

# `lab vm [SCRIPT]`: boot the guest, run SCRIPT in it at each boot until it says that it is done.
lab_vm() {
  local script=${1:-$LABHOME/vm-story} start=$EPOCHREALTIME limit=${LAB_VM_LIMIT:-1800} accel=${LAB_VM_ACCEL:-tcg} code=0
  [ -r "$script" ] || die "vm: $script cannot be read"
  "$LABHOME/../lib/install-deps" --vm
  lock
  need_base
  need_vm_root
  need_build
  if [ -n "${LAB_VM_AGAIN:-}" ]; then
    [ -e "$D/vm/disk.img" ] || die "vm: there is no disk of a last time"
  else
    rm -rf --one-file-system "$D/vm" "$D"/tpm-*
    make_vm_disk "$script"
  fi
  VM_TPM=""
  [ -z "${LAB_VM_TPM:-}" ] || start_tpm
  say "booting (at most $limit s; accelerator: $accel)"
  : > "$D/vm/output"
  (
    exec 8>&- 9>&-
    # shellcheck disable=SC2086 # words
    exec timeout --foreground --kill-after=5 "$limit" qemu-system-x86_64 -accel "$accel" -cpu max -smp 2 -m "${LAB_VM_MEMORY:-1536}" -nodefaults -display none \
      -kernel "$D/vm/kernel" -initrd "$D/vm/initrd" -append "root=/dev/vda rw console=ttyS0 net.ifnames=0 panic=1 systemd.unified_cgroup_hierarchy=1 quiet" \
      -drive "file=$D/vm/disk.img,if=virtio,format=raw,cache=writeback" -nic user,restrict=on,model=virtio-net-pci \
      -device virtio-rng-pci $VM_TPM ${LAB_VM_QEMU:-} -serial "file:$D/vm/console" -serial "file:$D/vm/output" < /dev/null > "$D/vm/qemu.log" 2>&1
  ) &
  follow_vm $! || code=$?
  say "virtual machine off ($(seconds_since "$start") s)"
  return $code
}

follow_vm() { # PID: show the output as it comes; the verdict is its last line
  local pid=$1 lines=0 now
  while :; do
    now=$(wc -l < "$D/vm/output")
    if [ "$now" -gt "$lines" ]; then
      sed -n "$((lines + 1)),${now}p" "$D/vm/output" | tr -d '\r'
      lines=$now
    fi
    [ -d "/proc/$pid" ] || break
    sleep 0.5
  done
  wait "$pid" || { tail -20 "$D/vm/console" "$D/vm/qemu.log" >&2; echo "lab: the virtual machine did not end by itself" >&2; return 1; }
  tr -d '\r' < "$D/vm/output" | grep -q '^story: ok$' || { tail -5 "$D/vm/console" >&2; echo "lab: the story in the virtual machine failed" >&2; return 1; }
}

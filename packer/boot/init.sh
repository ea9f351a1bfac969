#!/bin/busybox sh
# The first program of an initrd: finds the root file system, and starts what is in it. busybox is all that is here.
#
# It reads of the kernel's arguments: root=UUID=|LABEL=|PARTUUID=|PARTLABEL=|/dev/..., rootfstype=, rootflags=, ro, rw,
# rootdelay= (seconds to wait for the root, 30), rootwait (for ever), init=, fsck.mode=auto|force|skip, panic= (seconds
# until it starts again when something is wrong, in place of a shell), systemd.volatile=overlay (what is written goes to
# memory, and is gone at the next start).
set -f
/bin/busybox --install -s /bin
export PATH=/bin

say() {
    echo "initrd: $*"
}

# Something is wrong: let somebody look at it.
fail() {
    say "$*"
    if [ -n "$panic" ]; then
        say "the machine starts again in $panic seconds (panic=$panic)"
        sleep "$panic"
        reboot -f
    fi
    say "this is a shell; the command exec switch_root /root /sbin/init goes on, once the root is mounted on /root"
    exec setsid cttyhack sh
}

read_arguments() {
    root= type= flags= mode=ro delay=30 init= check=auto panic= volatile=
    for argument in $(cat /proc/cmdline); do
        value=${argument#*=}
        case $argument in
            root=*) root=$value ;;
            rootfstype=*) type=$value ;;
            rootflags=*) flags=,$value ;;
            ro | rw) mode=$argument ;;
            rootdelay=*) delay=$value ;;
            rootwait) delay=forever ;;
            init=*) init=$value ;;
            fsck.mode=*) check=$value ;;
            panic=*) panic=$value ;;
            systemd.volatile=*) volatile=$value ;;
        esac
    done
    case $root in
        /dev/disk/by-uuid/*) root=UUID=${root##*/} ;;
        /dev/disk/by-label/*) root=LABEL=${root##*/} ;;
        /dev/disk/by-partuuid/*) root=PARTUUID=${root##*/} ;;
        /dev/disk/by-partlabel/*) root=PARTLABEL=${root##*/} ;;
    esac
}

# Bytes of a device in hexadecimal: DEVICE FIRST NUMBER
bytes() {
    dd if="$1" bs=1 skip="$2" count="$3" 2>/dev/null | hexdump -v -e '1/1 "%02x"'
}

# The bytes of a hexadecimal number, the last one first: HEXADECIMAL
reversed() {
    rest=$1 result=
    while [ -n "$rest" ]; do
        tail=${rest#??}
        result=${rest%"$tail"}$result
        rest=$tail
    done
    echo "$result"
}

# A number of a device whose lowest byte comes first: DEVICE FIRST SIZE
number() {
    echo $((0x$(reversed "$(bytes "$1" "$2" "$3")")))
}

# The identifier of a partition in the table of its disk (UEFI 2.10, 5.3; of an MBR, its signature): DISK NUMBER
partition_uuid() {
    if [ "$(bytes "$1" 512 8)" = 4546492050415254 ]; then
        entry=$(($(number "$1" 584 8) * 512 + ($2 - 1) * $(number "$1" 596 4) + 16))
        first=$(reversed "$(bytes "$1" $entry 4)")
        second=$(reversed "$(bytes "$1" $((entry + 4)) 2)")
        third=$(reversed "$(bytes "$1" $((entry + 6)) 2)")
        echo "$first-$second-$third-$(bytes "$1" $((entry + 8)) 2)-$(bytes "$1" $((entry + 10)) 6)"
    else
        printf '%s-%02x\n' "$(reversed "$(bytes "$1" 440 4)")" "$2"
    fi
}

# What blkid(8) has as the UUID of an ISO 9660 volume: when it was changed, or else made (ECMA-119, 8.4.26): DEVICE
iso_uuid() {
    [ "$(bytes "$1" 32769 5)" = 4344303031 ] || return
    for place in 33598 33581; do
        date=$(dd if="$1" bs=1 skip=$place count=16 2>/dev/null)
        [ "$date" = 0000000000000000 ] || break
    done
    echo "$date" | sed 's/^\(....\)\(..\)\(..\)\(..\)\(..\)\(..\)/\1-\2-\3-\4-\5-\6-/'
}

# The device of an ISO 9660 volume, which findfs knows by its label alone: UUID
find_iso() {
    for name in $(ls /sys/class/block); do
        if [ "$(iso_uuid "/dev/$name")" = "$1" ]; then
            echo "/dev/$name"
            return
        fi
    done
}

# The device of a partition, by PARTUUID or PARTLABEL: KIND VALUE
find_partition() {
    for name in $(ls /sys/class/block); do
        folder=$(readlink -f "/sys/class/block/$name")
        [ -e "$folder/partition" ] || continue
        disk=/dev/$(basename "$(dirname "$folder")")
        case $1 in
            PARTLABEL) found=$(sed -n 's/^PARTNAME=//p' "$folder/uevent") ;;
            PARTUUID) found=$(partition_uuid "$disk" "$(cat "$folder/partition")") ;;
        esac
        if [ "$found" = "$2" ]; then
            echo "/dev/$name"
            return
        fi
    done
}

# The device of the root file system; nothing as long as it is not there.
find_root() {
    case $root in
        UUID=????-??-??-??-??-??-??) find_iso "${root#*=}" ;;
        UUID=* | LABEL=*) findfs "$root" 2>/dev/null ;;
        PARTUUID=*) find_partition PARTUUID "$(echo "${root#*=}" | tr A-Z a-z)" ;;
        PARTLABEL=*) find_partition PARTLABEL "${root#*=}" ;;
        /dev/*) [ -b "$root" ] && echo "$root" ;;
    esac
}

# The drivers of the devices that a board has, as far as the kernel knows of them: each may find others.
load_drivers() {
    [ -e /lib/modules/modules.alias ] || return
    devices=$(set +f; cat /sys/bus/*/devices/*/modalias 2>/dev/null | sort -u)
    [ "$devices" != "$known" ] || return
    known=$devices
    ln -sfn . "/lib/modules/$(uname -r)" # where modprobe looks
    modprobe -a -q $devices 2>/dev/null
}

wait_for_root() {
    [ -n "$root" ] || fail "the kernel has no argument root="
    tenths=0 known=
    until device=$(find_root) && [ -n "$device" ]; do
        load_drivers
        if [ "$delay" != forever ] && [ $tenths -ge $((delay * 10)) ]; then
            say "these disks and partitions are there, with their sizes in KiB:"
            cat /proc/partitions
            fail "there is no root file system $root after $delay seconds"
        fi
        [ $tenths = 20 ] && say "waiting for the root file system $root"
        sleep 0.1
        tenths=$((tenths + 1))
    done
}

# The root's own e2fsck, while the root is mounted for reading alone.
check_root() {
    [ "$check" != skip ] && [ -e /root/sbin/e2fsck ] && [ -d /root/dev ] && [ -d /root/proc ] || return
    grep -q '^[^ ]* /root ext[234] ' /proc/mounts || return
    force=
    [ "$check" = force ] && force=-f
    mount -o bind /dev /root/dev
    mount -o bind /proc /root/proc # where e2fsck sees that nothing writes to the root
    chroot /root /sbin/e2fsck -p $force "$device"
    result=$?
    umount /root/dev /root/proc
    [ $((result & 2)) = 0 ] || { say "the root file system was repaired"; reboot -f; }
    [ $result -lt 4 ] || fail "e2fsck could not repair $device: run chroot /root /sbin/e2fsck $device"
    mkdir -p /run/initramfs && touch /run/initramfs/fsck-root # tells systemd that this is done
}

mount_on() {
    mount ${type:+-t "$type"} -o "$2$flags" "$device" "$1" || fail "$device ($root) cannot be mounted"
}

mount_root() {
    if [ "$volatile" = overlay ]; then
        mkdir -p /run/root/lower /run/root/memory
        mount_on /run/root/lower ro
        mount -t tmpfs -o mode=0755 memory /run/root/memory
        mkdir /run/root/memory/upper /run/root/memory/work
        layers=lowerdir=/run/root/lower,upperdir=/run/root/memory/upper,workdir=/run/root/memory/work
        mount -t overlay -o $layers overlay /root || fail "the volatile root cannot be mounted"
    else
        mount_on /root ro
        check_root
        if [ $mode = rw ]; then
            mount -o "remount,rw" /root || fail "$device ($root) cannot be mounted for writing"
        fi
    fi
}

start() {
    if [ -z "$init" ]; then
        for init in /sbin/init /etc/init /bin/init /bin/sh; do
            [ -e "/root$init" ] || [ -L "/root$init" ] && break
        done
    fi
    [ -e "/root$init" ] || [ -L "/root$init" ] || fail "the root file system $root has no program $init"
    for folder in proc sys dev run; do
        mkdir -p "/root/$folder" 2>/dev/null
        mount -o move "/$folder" "/root/$folder" || fail "the root file system $root has no folder /$folder"
    done
    export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin # a script may be the init
    exec switch_root /root "$init" "$@"
}

mount -t proc -o nosuid,noexec,nodev proc /proc
mount -t sysfs -o nosuid,noexec,nodev sysfs /sys
mount -t devtmpfs -o nosuid,mode=0755 devtmpfs /dev
mount -t tmpfs -o nosuid,nodev,mode=0755 tmpfs /run
read_arguments
while read -r module needed; do
    for other in $needed; do
        [ -e "/sys/module/$other" ] || continue 2 # the kernel would complain of each symbol
    done
    insmod "/lib/modules/$module.ko" 2>/dev/null # most machines lack most devices, and some features of processors
done </etc/modules
wait_for_root
mount_root
start "$@"

"""Booting: what a disk needs besides the system so that a machine starts it.

`kernel` finds what starts in a system. For one that brings no initrd (Debian's), `initrd` makes one, of `modules` of
the kernel and busybox, and `depmod` the tables by which drivers are found later; `fstab` tells the system of its
partitions. A boot loader is a module in `loaders`; `installer` puts all of it together. Nothing is executed: boot
loaders are files of packages in the image, so that a disk for any processor is made on any other.
"""

"""Which kernel modules an initrd has: all that may be needed before the root file system is found.

Of disks that say themselves what they are, on PCI, USB or a hypervisor's bus, there are few drivers: they are named
here, and an initrd loads all. Those of boards are hundreds, and behind each there are others: a controller of cards has
no clock, no voltage and no pins without theirs. Which of them a board needs, its device tree says, and that comes from
U-Boot, when it starts. So an initrd has all drivers of such kinds if the kernel has device trees, and loads those that
the kernel asks for: by the aliases of the devices that it has found.
"""

import re
from collections.abc import Iterator

from packer.boot.modules import Modules

#: Of the disks of machines and hypervisors; kernels have some of them.
ALWAYS = (
    "virtio_pci", "virtio_mmio", "virtio_blk", "virtio_scsi", "sd_mod", "sr_mod",
    "ahci", "ahci_platform", "ata_piix", "ata_generic", "nvme",
    "xhci_pci", "xhci_plat_hcd", "ehci_pci", "uhci_hcd", "ohci_pci", "usb_storage", "uas",
    "mmc_block", "sdhci_pci", "sdhci_acpi",
    "xen_blkfront", "hv_storvsc", "vmw_pvscsi", "mptspi", "mptsas",
)  # fmt: skip

#: Below kernel/drivers: controllers of disks, and what gives them clocks, voltages, pins, interrupts and a way to them.
_KINDS = (
    "ata", "bus", "clk", "dma", "extcon", "gpio", "hwspinlock", "i2c/busses", "i2c/muxes", "interconnect", "iommu",
    "irqchip", "mailbox", "memory", "mfd", "mmc", "mux", "nvmem", "pci", "phy", "pinctrl", "pmdomain",
    "power/sequencing", "pwm", "regulator", "reset", "soc", "spi", "ufs", "usb/cdns3", "usb/chipidea", "usb/dwc2",
    "usb/dwc3", "usb/host", "usb/mtu3", "usb/musb", "usb/phy",
)  # fmt: skip
_FOLDERS = tuple(f"kernel/drivers/{kind}/" for kind in _KINDS)

#: How devices are called that a device tree describes, and the parts of chips among them (drivers/mfd).
_ALIAS = re.compile(r"(of|platform|i2c|spi|spmi):")

#: What no disk needs, and has some MB: drivers that need these are those of screens and of flash without a controller.
_ELSEWHERE = frozenset({"drm", "mtd"})


def of_boards(modules: Modules) -> Iterator[str]:
    """Names of the drivers of a kernel that a board may need before its root is found."""
    for module in modules.all:
        if not module.path.startswith(_FOLDERS) or not any(map(_ALIAS.match, module.values("alias"))):
            continue
        if not _ELSEWHERE & {other.name for other in modules.needed([module.name])}:
            yield module.name

"""A system of Nix that boots: items with Debian's kernel and systemd-boot, an initrd, and an init of our own."""

from pathlib import Path

from formats.system import System
from layers.entry import File
from layers.reader import Reader
from packer.boot.initrd import initrd
from packer.boot.modules import read_modules
from tests.support.nix_program import Nix
from tests.support.small_debian import init, produced

_EXPRESSION = """
let
  shell = builtins.path { name = "shell"; path = ./shell; };
  make = name: script: derivation {
    inherit name script; system = "x86_64-linux"; builder = "${shell}/busybox"; b = "${shell}/busybox";
    args = [ "sh" "-ec" script ];
  };
  linux = make "linux-6.1" "$b mkdir $out; $b cp ${./vmlinuz} $out/bzImage";
  first = make "initrd-6.1" "$b mkdir $out; $b cp ${./initrd} $out/initrd";
  systemd = make "systemd-252" "d=$out/lib/systemd/boot/efi; $b mkdir -p $d; $b cp ${./x64.efi} $d/systemd-bootx64.efi";
in make "nixos-system-small-1.0" ''
  $b mkdir $out
  $b ln -s ${linux}/bzImage $out/kernel
  $b ln -s ${first}/initrd $out/initrd
  $b ln -s ${systemd} $out/systemd
  $b printf 'console=ttyS0 quiet' >$out/kernel-params
  $b printf '#!%s sh\\nb=%s\\n' "$b" "$b" >$out/init
  $b cat ${./init} >>$out/init
  $b chmod 755 $out/init
''
"""

_DECLARATION = """\
name = "small"
platform = "x86_64-linux"
[store]
type = "nix"
root = "{root}"
roots = ["{top}"]
"""


def nix_system(folder: Path, debian: System) -> System:
    """Build and assemble it.

    Args:
        folder: for the store.
        debian: a system with a kernel and its modules, and busybox.
    """
    (folder / "shell").mkdir()
    tree = debian.tree
    (kernel,) = (entry for entry in tree.below(b"boot") if b"vmlinuz-" in entry.path)
    with Reader() as reader:
        modules = read_modules(tree, kernel.path.partition(b"-")[2].decode(), reader)
        made = initrd(modules, tree, reader, file_system="ext4", volatile=False, epoch=1)
        for name, entry in (
            ("vmlinuz", kernel),
            ("shell/busybox", tree.follow(b"usr/bin/busybox")),
            ("x64.efi", tree.follow(b"usr/lib/systemd/boot/efi/systemd-bootx64.efi")),
        ):
            assert isinstance(entry, File)
            (folder / name).write_bytes(reader.read(entry.content))
    (folder / "shell/busybox").chmod(0o755)
    (folder / "initrd").write_bytes(made)
    (folder / "init").write_text(init())
    (folder / "system.nix").write_text(_EXPRESSION)
    nix = Nix(folder / "root")
    build = ("nix-build", "--store", nix.root, folder / "system.nix", "--option", "sandbox", "false", "--no-out-link")
    top = nix.run(*build).strip()
    return produced(_DECLARATION.format(root=nix.root, top=top), folder)

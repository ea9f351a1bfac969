"""A system of Nix that boots: items with Debian's kernel and systemd-boot, an initrd, an init, and some packages."""

import subprocess
from pathlib import Path

from formats.system import System
from tests.support.nix_program import Nix
from tests.support.nix_store import SmallStore
from tests.support.small_debian import boot_files, init, produced

#: Lists the store with a program of its packages, which finds all that it needs there.
_LIST = """\
echo "items: $($packages/lib/ld-linux-x86-64.so.2 --library-path $packages/lib $packages/bin/ls /nix/store | $b wc -l)"
"""

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
  packages = builtins.storePath @packages@;
in make "nixos-system-small-1.0" ''
  $b mkdir $out
  $b ln -s ${packages} $out/sw
  $b ln -s ${linux}/bzImage $out/kernel
  $b ln -s ${first}/initrd $out/initrd
  $b ln -s ${systemd} $out/systemd
  $b printf 'console=ttyS0 quiet' >$out/kernel-params
  $b printf '#!%s sh\\nb=%s\\npackages=%s\\n' "$b" "$b" ${packages} >$out/init
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


def nix_system(folder: Path, debian: System, store: SmallStore) -> tuple[Nix, System]:
    """Build it in a copy of a store, and assemble it.

    Args:
        folder: for the store.
        debian: a system with a kernel and its modules, and busybox.
        store: with packages that the system has.
    """
    files = boot_files(debian)
    (folder / "shell").mkdir()
    (folder / "shell/busybox").write_bytes(files.busybox)
    (folder / "shell/busybox").chmod(0o755)
    (folder / "vmlinuz").write_bytes(files.kernel)
    (folder / "initrd").write_bytes(files.initrd)
    (folder / "x64.efi").write_bytes(files.systemd_boot)
    (folder / "init").write_text(init(more=_LIST))
    (folder / "system.nix").write_text(_EXPRESSION.replace("@packages@", f'"{store.top}"'))
    subprocess.run(["cp", "-a", store.root, folder / "root"], check=True)
    nix = Nix(folder / "root")
    build = ("nix-build", "--store", nix.root, folder / "system.nix", "--option", "sandbox", "false", "--no-out-link")
    top = nix.run(*build).strip()
    return nix, produced(_DECLARATION.format(root=nix.root, top=top), folder)

"""Platforms: what processor an image is for, in the words of everybody who has to know."""

from dataclasses import dataclass

from layers.errors import InputError


@dataclass(frozen=True, slots=True)
class Platform:
    """A processor architecture under an operating system.

    Attributes:
        name: ours, and Nix's and Guix's: `x86_64-linux`. But to both `ppc64le-linux` is `powerpc64le-linux`, and to Nix
            `armhf-linux` is `armv7l-linux`.
        architecture: OCI's, which is Go's GOARCH (image-spec, config.md).
        variant: OCI's CPU variant, or empty (image-index.md, Platform Variants).
        debian: Debian's name.
        system: OCI's name of the operating system, which is Go's GOOS.
    """

    name: str
    architecture: str
    variant: str
    debian: str
    system: str = "linux"

    @classmethod
    def parse(cls, name: str) -> "Platform":
        """The platform of a name.

        Raises:
            InputError: there is none.
        """
        if name not in PLATFORMS:
            raise InputError(f"there is no platform {name!r}", hint=f"There are: {', '.join(PLATFORMS)}.")
        return PLATFORMS[name]

    @property
    def specifier(self) -> str:
        """What people call it where containers are: `linux/arm64/v8`."""
        return "/".join(filter(None, (self.system, self.architecture, self.variant)))

    @property
    def oci(self) -> dict[str, str]:
        """What indexes and configurations of images say (image-index.md, `platform`)."""
        variant = {"variant": self.variant} if self.variant else {}
        return {"architecture": self.architecture, "os": self.system, **variant}


#: All platforms by name.
PLATFORMS = {
    platform.name: platform
    for platform in (
        Platform("x86_64-linux", "amd64", "", "amd64"),
        Platform("i686-linux", "386", "", "i386"),
        Platform("aarch64-linux", "arm64", "v8", "arm64"),
        Platform("armhf-linux", "arm", "v7", "armhf"),
        Platform("riscv64-linux", "riscv64", "", "riscv64"),
        Platform("ppc64le-linux", "ppc64le", "", "ppc64el"),
        Platform("s390x-linux", "s390x", "", "s390x"),
        Platform("mips64el-linux", "mips64le", "", "mips64el"),
        Platform("i586-gnu", "386", "", "hurd-i386", "hurd"),
    )
}

"""init: the first program of a machine, which the kernel starts."""

from packer.operating_system.image import Image, suggestion

_USUAL = ("/sbin/init", "/usr/sbin/init", "/lib/systemd/systemd", "/usr/lib/systemd/systemd", "/init", "/bin/sh")


def check(init: str | None, image: Image) -> None:
    """See that it is in the image."""
    if init is not None and not image.has_program(init):
        there = [path for path in _USUAL if image.has_program(path)]
        hint = suggestion(init, there, f"there is {there[0]}" if there else "add a package that has one")
        image.wrong("os.init", f"there is no program {init!r} in the image", hint)

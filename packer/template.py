"""The os.toml that `ocipack init` starts: it can be packed as it is, and its comments show what else there is."""

#: The text; every line that starts with `# ` and a key is TOML when the `# ` is taken away.
TEMPLATE = """\
# What is packed, and how. All keys: docs/os-toml.md of ocipack; `ocipack check` tells every mistake at once.
#
#   ocipack docker
#   docker load -i hello-1.0.docker.tar && docker run --rm -it hello:1.0

name = "hello"
version = "1.0"
# The processor: aarch64-linux, armhf-linux, riscv64-linux, … are as good, on any machine.
platform = "x86_64-linux"
# outputs = ["docker", "tarball", "wsl2"]
# description = "A shell and the tools that go with it"
# licenses = "GPL-3.0-or-later"
# source = "https://example.com/hello"

[store]
# Packages of Debian or Ubuntu, with all that they need, from where this machine takes its own.
type = "debian"
packages = ["bash", "coreutils"]
# suite = "bookworm"
# recommends = true
# path-exclude = ["/usr/share/doc/*", "/usr/share/man/*"]

[os]
# hostname = "hello"
# timezone = "Europe/Paris"
# services = ["ssh.service"]
# users = [{ name = "ada", groups = ["sudo"], authorized-keys = [{ source = "ada.pub" }] }]
# A file is made from text, from a source beside this file, or is a symlink or a directory.
# files = [{ target = "/etc/motd", text = "Hello.\\n" }, { target = "/srv/data", directory = true, mode = "0700" }]

[container]
cmd = ["/bin/bash"]
env = { LANG = "C.UTF-8" }
# entrypoint = ["/usr/bin/env"]
# workdir = "/srv/data"
# user = "nobody"
# ports = [8080, "53/udp"]
# volumes = ["/srv/data"]
# stop-signal = "SIGTERM"
# labels = { "com.example.team" = "web" }
# healthcheck = { test = ["CMD", "/bin/true"], interval = "30s" }
# created = 2025-05-20T09:30:00Z

[layers]
# Layers are shared between images and versions; docker runs up to 125 of them.
# max-layers = 60
# strategy = "tiers"
# compression = { codec = "zstd", level = 9 }

[tarball]
# root-name = "hello-1.0"

[wsl2]
# default-name = "Hello"
# systemd = true

[sbom]
# attach = ["spdx", "cyclonedx", "provenance"]
"""

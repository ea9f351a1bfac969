from pathlib import Path

import pytest

from layers.errors import InputError
from packer.debian.control import stanzas
from packer.debian.sources import Host, Sources

OWN = """# the distribution
Types: deb
URIs: http://mirror.invalid/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.invalid/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
THIRD = """Types: deb
URIs: http://else.invalid/debian
Suites: bookworm
Components: main
Signed-By: /etc/apt/keyrings/else.gpg
"""
ONE_LINE = """deb [arch=amd64] http://mirror.invalid/debian bookworm main # comment
#deb x y z
deb-src http://mirror.invalid/debian bookworm main
"""
#: As Ubuntu's installer writes it, and with what another processor needs: Ubuntu has it in another archive.
UBUNTU = """Types: deb
URIs: http://mirror.invalid/ubuntu/
Suites: noble noble-updates noble-backports
Components: main restricted universe multiverse
Architectures: amd64 i386
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg

Types: deb
URIs: http://mirror.invalid/ubuntu-security/
Suites: noble-security
Components: main restricted universe multiverse
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg
"""
UBUNTU_PORTS = "deb [arch=arm64,riscv64] http://mirror.invalid/ubuntu-ports noble main universe\n"


class Etc:
    """A host in a folder."""

    def __init__(self, folder: Path, **files: str) -> None:
        self.apt = folder / "apt"
        (self.apt / "sources.list.d").mkdir(parents=True)
        self.os_release = folder / "os-release"
        self.os_release.write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
        self.keyring = folder / "keyring.gpg"
        self.host = Host(str(self.apt), str(self.os_release), (str(folder / "none.gpg"), str(self.keyring)))

    def put(self, name: str, text: str) -> None:
        (self.apt / name).write_text(text)


@pytest.fixture
def etc(tmp_path: Path) -> Etc:
    return Etc(tmp_path)


def stated(sources: Sources) -> list[tuple[str, str, str, str]]:
    """(addresses, suites, components, keyring) of sources that we wrote."""
    ((name, data),) = sources.files
    assert name == "sources.list.d/ocipack.sources"
    fields = list(stanzas(data.decode(), name))
    return [(one["uris"], one["suites"], one["components"], one.get("signed-by", "")) for one in fields]


def test_the_hosts_sources_to_the_letter(etc: Etc) -> None:
    etc.put("sources.list", ONE_LINE)
    etc.put("sources.list.d/debian.sources", OWN)
    etc.put("sources.list.d/third.sources", THIRD)
    etc.put("sources.list.d/off.sources.disabled", THIRD)
    etc.put("sources.list.d/empty.list", "# nothing\n\n")
    sources = etc.host.sources()
    assert sources.files == (
        ("sources.list", ONE_LINE.encode()),
        ("sources.list.d/debian.sources", OWN.encode()),
        ("sources.list.d/third.sources", THIRD.encode()),
    )
    assert (sources.keyrings, sources.valid_until) == ((), True)


def test_a_host_without_sources(etc: Etc) -> None:
    with pytest.raises(InputError, match=r"the host has no sources[\s\S]*store.mirror"):
        etc.host.sources()


def test_a_keyring_in_place_of_the_hosts(etc: Etc) -> None:
    etc.put("sources.list.d/third.sources", THIRD)
    etc.keyring.write_bytes(b"key")
    sources = etc.host.sources(str(etc.keyring))
    assert stated(sources) == [("http://else.invalid/debian", "bookworm", "main", "")]
    assert sources.keyrings == (b"key",)


KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


@pytest.mark.parametrize(
    ("suite", "text", "expected"),
    [
        (
            "trixie",
            OWN,
            [
                ("http://mirror.invalid/debian", "trixie trixie-updates", "main", KEYRING),
                ("http://mirror.invalid/debian-security", "trixie-security", "main", KEYRING),
            ],
        ),
        ("sid", OWN, [("http://mirror.invalid/debian", "sid", "main", KEYRING)]),
        ("trixie", OWN.replace("bookworm", "stable"), None),
        ("trixie", OWN + "\n" + THIRD, None),
        ("trixie", OWN + "\n" + OWN.replace("Types: deb\n", "Types: deb\nEnabled: no\n", 1).split("\n\n")[0], None),
    ],
)
def test_the_hosts_archive_for_another_suite(
    etc: Etc, suite: str, text: str, expected: list[tuple[str, str, str, str]] | None
) -> None:
    etc.put("sources.list.d/debian.sources", OWN)
    plain = stated(etc.host.suite(suite, ["main"]))
    etc.put("sources.list.d/debian.sources", text)
    assert stated(etc.host.suite(suite, ["main"])) == (plain if expected is None else expected)


def test_one_line_sources_for_another_suite(etc: Etc) -> None:
    etc.put("sources.list", ONE_LINE)
    assert stated(etc.host.suite("trixie", ["main", "contrib"])) == [
        ("http://mirror.invalid/debian", "trixie", "main contrib", "")
    ]


def test_ubuntus_archives_for_another_suite(etc: Etc) -> None:
    etc.os_release.write_text("ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n")
    etc.put("sources.list", UBUNTU_PORTS)
    etc.put("sources.list.d/ubuntu.sources", UBUNTU)
    etc.put("sources.list.d/third.sources", THIRD)
    sources = etc.host.suite("jammy", ["main", "universe"])
    keyring = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
    assert stated(sources) == [
        ("http://mirror.invalid/ubuntu-ports", "jammy", "main universe", ""),
        ("http://mirror.invalid/ubuntu/", "jammy jammy-updates", "main universe", keyring),
        ("http://mirror.invalid/ubuntu-security/", "jammy-security", "main universe", keyring),
    ]
    etc.keyring.write_bytes(b"key")
    for found in (sources, etc.host.suite("jammy", ["main", "universe"], str(etc.keyring))):
        ((name, data),) = found.files
        fields = stanzas(data.decode(), name)
        assert [one.get("architectures") for one in fields] == ["arm64 riscv64", "amd64 i386", None]


def test_only_others_archives(etc: Etc) -> None:
    etc.put("sources.list.d/third.sources", THIRD)
    with pytest.raises(InputError, match=r"store\.suite = 'trixie': the host has no sources"):
        etc.host.suite("trixie", ["main"])


def test_a_mirror(etc: Etc) -> None:
    etc.put("sources.list.d/debian.sources", OWN)
    etc.keyring.write_bytes(b"key")
    sources = etc.host.mirror("http://x.invalid/debian", ["sid"], ["main", "contrib"])
    assert stated(sources) == [("http://x.invalid/debian", "sid", "main contrib", "")]
    assert (sources.keyrings, sources.valid_until) == ((b"key",), True)


def test_of_a_mirror_every_keyring_is_trusted_once(etc: Etc, tmp_path: Path) -> None:
    """It may be one of Debian or of Ubuntu, whatever the host is."""
    contents = {"debian.gpg": b"key", "debian.pgp": b"key", "ubuntu.gpg": b"other"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    host = Host(str(etc.apt), str(etc.os_release), tuple(str(tmp_path / name) for name in [*contents, "none.gpg"]))
    assert host.mirror("http://x.invalid", ["sid"], ["main"]).keyrings == (b"key", b"other")
    assert host.mirror("http://x.invalid", ["sid"], ["main"], keyring=str(tmp_path / "ubuntu.gpg")).keyrings == (
        b"other",
    )


def test_pockets_of_a_mirror(etc: Etc) -> None:
    sources = etc.host.mirror("http://x.invalid/ubuntu", ["noble", "noble-updates"], ["main"])
    assert stated(sources) == [("http://x.invalid/ubuntu", "noble noble-updates", "main", "")]


def test_a_snapshot(etc: Etc) -> None:
    sources = etc.host.mirror("http://x.invalid/@SNAPSHOTID@/", ["sid"], ["main"], snapshot="20250520T000000Z")
    assert stated(sources) == [("http://x.invalid/20250520T000000Z/", "sid", "main", "")]
    assert (sources.keyrings, sources.valid_until) == ((), False)


@pytest.mark.parametrize(("content", "message"), [(None, "No such file"), (b"", "is no keyring")])
def test_a_bad_keyring(etc: Etc, content: bytes | None, message: str) -> None:
    if content is not None:
        etc.keyring.write_bytes(content)
    with pytest.raises(InputError, match=f"store.signed-by: .*{message}"):
        etc.host.mirror("http://x.invalid", ["sid"], ["main"], keyring=str(etc.keyring))


def test_identity_covers_all_that_is_trusted() -> None:
    files = (("sources.list", b"deb x"),)
    different = [
        Sources(files),
        Sources((("sources.list.d/a.list", b"deb x"),)),
        Sources((("sources.list", b"deb y"),)),
        Sources(files, (b"key",)),
        Sources(files, (b"key", b"key")),
        Sources(files, valid_until=False),
    ]
    assert len({sources.identity for sources in different}) == len(different)
    assert Sources(files).identity == Sources(files).identity

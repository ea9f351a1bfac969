import threading
from pathlib import Path
from typing import Any

import pytest

from packer.fetch import Fetcher, FetchError
from tests.support.binary_cache import endless, serving


def test_a_connection_is_closed_when_the_rest_is_not_wanted(tmp_path: Path) -> None:
    gone = threading.Event()

    def until_gone(handler: Any, data: bytes) -> None:
        endless(handler, data)
        gone.set()

    with serving(tmp_path) as server:
        server.faults["file"] = [until_gone]
        with pytest.raises(FetchError, match="more than the 10 bytes") as caught:
            Fetcher({}).read(f"{server.url}/file", 10)
        assert gone.wait(20), "somebody still listens to the server"
        assert caught.value.url == f"{server.url}/file"


def test_a_file_that_is_read_in_part(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(1 << 20))
    with serving(tmp_path) as server:
        fetcher = Fetcher({})
        with fetcher.stream(f"{server.url}/file", 1 << 20) as pieces:
            assert next(pieces)[:4] == bytes(4)
        assert fetcher.read(f"{server.url}/file", 1 << 20) == bytes(1 << 20)

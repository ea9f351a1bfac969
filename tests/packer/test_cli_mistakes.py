"""What people type wrong, and what their machine does to a run: one clear message, and nothing of theirs is gone."""

import pytest

from tests.support.command_line import Workplace, workplace


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """One workplace for all tests that leave it as it is."""
    return workplace(tmp_path_factory.mktemp("shared"))


@pytest.mark.parametrize(
    ("arguments", "taken"),
    [
        (("-o", "os.toml"), "os.toml"),
        (("-o", "os.lock"), "os.lock"),
        (("-o", "x.spdx.json", "--sbom", "x.spdx.json"), "x.spdx.json"),
        (("--sbom", "x.cdx.json", "--sbom", "./x.cdx.json"), "x.cdx.json"),
    ],
)
def test_an_output_takes_the_place_of_nothing_that_the_run_has(
    shared: Workplace, arguments: tuple[str, ...], taken: str
) -> None:
    before = shared.declare().read_text()
    answer = shared.run("docker", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert f"{shared.folder}/{taken} is read or written by this run already" in answer.err
    assert (shared.folder / "os.toml").read_text() == before
    assert sorted(path.name for path in shared.folder.iterdir()) == ["os.toml"]

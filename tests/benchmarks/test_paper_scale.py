"""The run of the paper's configuration on stand-ins, with a small mesh and narrow networks."""

import json

from benchmarks import paper_scale
from tests.support.helpers import eager_functions

SMALL = (
    "data.image_size=32", "data.workers=1", "regressor.depth=18", "regressor.width=4", "regressor.image_size=32",
    "identity.depth=18", "identity.width=4", "identity.image_size=32", "identity.embedding=16",
    "texture.factors=[3, 3, 3, 3]", "texture.nz=8", "export.texture_size=256", "train.samples=1",
)  # fmt: skip


def test_training_is_reported_before_the_passes_and_both_run_on_one_split(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paper_scale, "VERTICES", 2000)
    monkeypatch.setattr(paper_scale, "TRAINED", 4)
    monkeypatch.setattr(paper_scale, "TESTED", 3)
    with eager_functions():
        paper_scale.run(tmp_path, None, 3, list(SMALL))
    training, passes = (json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{"))
    assert len(training["loss"]) == 3
    assert 0 < training["seconds_range"][0] <= training["seconds_median"]
    assert set(passes) == {"encode_a_crop", "validate_a_crop", "evaluate_a_crop"}

"""Batch norms of the Seq-Prop head: they start as the identity, and the saved model has none."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.network.factories import make_model
from vis_cli.errors import VisError
from vis_cli.network.seq_prop_head import SeqPropHead
from vis_cli.training import run as run_module
from vis_cli.training.prop_norms import PLAIN, NormedConv, add_norms, fold_norms, start_norms
from vis_cli.training.trainer import train
from vis_cli.zoo.weights import load_model

from .test_trainer import make_run

pytestmark = pytest.mark.usefixtures("narrow_backbone")
CPU = torch.device("cpu")
EXTRA = "prop_norms = true\nground_truth_guidance = [1.0, 1.0]"


@pytest.fixture(autouse=True)
def few_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure the norms on two batches: the clips of the tests are small and similar."""
    monkeypatch.setattr(run_module, "NORM_BATCHES", 2)


def head_and_inputs() -> tuple[SeqPropHead, torch.Tensor]:
    """Return a Seq-Prop head with random weights and P2 of four frames."""
    torch.manual_seed(0)
    model = make_model()
    return model.prop_head, torch.randn(4, model.config.fpn_channels, 16, 24) + 0.5


def normed(head: SeqPropHead, p2: torch.Tensor) -> None:
    """Add norms that start as the identity on P2."""
    add_norms(head)
    start_norms(head, [[]], lambda clips: outputs(head, p2))


def outputs(head: SeqPropHead, p2: torch.Tensor) -> list[torch.Tensor]:
    """Return keys and values of both encoders, and the decoded masks."""
    masks = (torch.arange(64 * 96).reshape(1, 64, 96) % 7 < 3).float().expand(4, -1, -1)
    query, memory = head.encode_query(p2), head.memorize(p2, masks)
    c3, c2 = (conv.weight.new_ones(4, conv.in_channels, 1, 1) for conv in skip_convs(head))
    skips = head.encode_skips(c3 * p2[:, :1, ::2, ::2], c2 * p2[:, :1])
    return [*query, *memory, head.decode(query[1], skips, memory[1])]


def skip_convs(head: SeqPropHead) -> list[nn.Conv2d]:
    """Return the convolutions of C3 and C2."""
    convs = [head.refine3.conv_skip, head.refine2.conv_skip]
    return [conv.conv if isinstance(conv, NormedConv) else conv for conv in convs]


def test_norms_follow_all_convolutions_except_the_first_and_the_last_one() -> None:
    head, _ = head_and_inputs()
    convs = {name for name, module in head.named_modules() if isinstance(module, nn.Conv2d)}
    add_norms(head)
    names = {name for name, module in head.named_modules() if isinstance(module, NormedConv)}
    assert names == convs - set(PLAIN)
    assert {name for name, module in head.named_modules() if isinstance(module, nn.BatchNorm2d)} == {
        f"{name}.norm" for name in names
    }


@pytest.mark.parametrize("is_training", [True, False])
def test_norms_start_as_the_identity(is_training: bool) -> None:
    head, p2 = head_and_inputs()
    expected = outputs(head, p2)
    normed(head, p2)
    for module in head.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.training
            module.train(is_training)
    for found, value in zip(outputs(head, p2), expected, strict=True):
        torch.testing.assert_close(found, value, rtol=1e-3, atol=1e-3)


def test_a_norm_keeps_the_scale_of_its_output_if_the_weights_grow() -> None:
    head, p2 = head_and_inputs()
    normed(head, p2)
    before = outputs(head, p2)
    with torch.no_grad():
        for module in head.modules():
            if isinstance(module, NormedConv):
                module.conv.weight.mul_(100.0)
    for found, value in zip(outputs(head, p2), before, strict=True):
        torch.testing.assert_close(found.std(), value.std(), rtol=1e-2, atol=1e-3)


def test_folded_norms_give_the_same_outputs() -> None:
    head, p2 = head_and_inputs()
    names = list(head.state_dict())
    normed(head, p2)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    expected = outputs(head, p2)
    fold_norms(head, [[]], lambda clips: outputs(head, p2))
    assert list(head.state_dict()) == names
    for found, value in zip(outputs(head, p2), expected, strict=True):
        # a running variance is unbiased, the variance of a batch is not
        torch.testing.assert_close(found, value, rtol=2e-2, atol=2e-2 * float(value.detach().std()))


def test_a_run_with_norms_saves_a_model_without_norms_and_resumes(tmp_path: Path) -> None:
    config = make_run(tmp_path, steps=4, every=2, batch_size=2, extra=EXTRA)
    whole = train(config, tmp_path / "whole").folder
    config.write_text(config.read_text().replace("steps = 4", "steps = 2", 1))
    train(config, tmp_path / "broken")
    config.write_text(config.read_text().replace("steps = 2", "steps = 4", 1))
    resumed = train(config, tmp_path / "broken", resume=True).folder
    models = [load_model(str(folder)).model for folder in (whole, resumed)]
    assert not [name for name in models[0].prop_head.state_dict() if "norm" in name]
    assert models[0].prop_head.state_dict().keys() == models[1].prop_head.state_dict().keys()


def test_the_saved_head_has_the_averaged_weights_with_folded_norms(tmp_path: Path) -> None:
    config, alone = make_run(tmp_path, steps=3, batch_size=2, extra=EXTRA), run_module.Processes(0, 1, CPU)
    saved = load_model(str(train(config, tmp_path / "out").folder)).model.prop_head.state_dict()
    run = run_module.open_run(config, tmp_path / "out", alone)
    state = run_module.start_state(run, resume=True)
    for name, value in run_module.averaged_model(run, state).prop_head.state_dict().items():
        torch.testing.assert_close(saved[name], value, rtol=2e-3, atol=1e-5, msg=name)  # stored in half precision
    trained = dict(state.average.module.named_parameters())
    assert not torch.equal(trained["prop_head.conv_merge.conv.weight"], saved["conv_merge.weight"])


def test_norms_need_objects_to_propagate(tmp_path: Path) -> None:
    config = make_run(tmp_path, extra="prop_norms = true")
    annotations = json.loads((tmp_path / "stills.json").read_text())
    (tmp_path / "stills.json").write_text(json.dumps(annotations | {"annotations": []}))
    with pytest.raises(VisError, match="no object"):
        train(config, tmp_path / "out")


def test_norms_need_a_trained_head(tmp_path: Path) -> None:
    config = make_run(tmp_path, extra="prop_norms = true\nfreeze = ['prop_head']")
    with pytest.raises(VisError, match=re.escape("needs a trained Seq-Prop head")):
        train(config, tmp_path / "out")
    assert not list((tmp_path / "out").glob("checkpoint-*"))


def test_a_checkpoint_without_norms_does_not_resume_with_norms(tmp_path: Path) -> None:
    config = make_run(tmp_path, steps=1, batch_size=2)
    train(config, tmp_path / "out")
    config.write_text(EXTRA.split("\n")[0] + "\n" + config.read_text().replace("steps = 1", "steps = 2", 1))
    with pytest.raises(VisError, match="belongs to another model"):
        train(config, tmp_path / "out", resume=True)


def test_frozen_convolutions_get_no_norms(tmp_path: Path) -> None:
    train(make_run(tmp_path, steps=1, batch_size=2), tmp_path / "start")
    extra = EXTRA + "\ntrain_only = ['prop_head.memory_encoder.key']"
    train(make_run(tmp_path, steps=2, batch_size=2, init=str(tmp_path / "start"), extra=extra), tmp_path / "out")
    before, after = (load_model(str(tmp_path / name)).model.state_dict() for name in ("start", "out"))
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith("prop_head.memory_encoder.key.") for name in changed)


def test_measuring_norms_changes_no_statistics_of_the_backbone(tmp_path: Path) -> None:
    found = []
    for extra in ("norm_eval = false", "norm_eval = false\n" + EXTRA):
        config = make_run(tmp_path, batch_size=2, init="none", extra=extra)
        run = run_module.open_run(config, tmp_path / "out", run_module.Processes(0, 1, CPU))
        state = run_module.start_state(run, resume=False)
        assert state.model.get_submodule("backbone.body.bn1").training
        averaged = run_module.averaged_model(run, state)
        found += [dict(model.backbone.named_buffers()) for model in (state.model, averaged)]
    assert all(module.training for module in state.model.modules() if isinstance(module, NormedConv))
    for name, value in found[0].items():
        assert all(torch.equal(value, buffers[name]) for buffers in found), name


def test_clips_are_read_again_for_each_pass(tmp_path: Path) -> None:
    run = run_module.open_run(
        make_run(tmp_path, batch_size=2, extra=EXTRA), tmp_path / "out", run_module.Processes(0, 1, CPU)
    )
    first, second = ([clip.images for clips in run_module._norm_batches(run) for clip in clips] for _ in range(2))
    assert len(first) == 2 * run_module.NORM_BATCHES
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))

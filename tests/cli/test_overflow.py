# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Losses and gradients that stop being numbers end a run in one line."""

from command_runs import before, log_of, run_of
from commands import expunge, model, refused


def test_a_loss_that_is_no_number(before, tmp_path, refused, expunge):
    """float32 overflows at 3.4e38: a large step makes the next loss NaN.

    The run stops there and keeps the weights before.
    """
    out = tmp_path / "out"
    line = refused(
        *before.unlearn(
            "grad_diff",
            out,
            "--optimizer",
            "sgd",
            "--forget_weight",
            "1e16",
            "--lr",
            "9",
            "--clip",
            "0",
            steps=6,
        ),
        code=1,
    )
    assert "stage grad_diff: term " in line and " at step " in line and "smaller --lr" in line, line
    assert run_of(out)["status"] == "running" and not (out / "model").exists()
    kept = [word.rstrip(";") for word in line.split() if "checkpoint-" in word]
    assert len(kept) == 1
    from safetensors.torch import load_file

    tensors = load_file(kept[0] + "/model.safetensors")
    assert tensors and all(bool(t.isfinite().all()) for t in tensors.values())
    assert all(abs(entry["loss"]) < float("inf") for entry in log_of(out))


def test_an_argument_so_large_that_the_first_loss_overflows(before, tmp_path, refused):
    out = tmp_path / "out"
    line = refused(*before.unlearn("grad_diff", out, "--retain_weight", "1e39"), code=1)
    assert "term 'nll/retain' became inf at step 1" in line
    # resumes, and meets it again
    assert refused(*before.unlearn("grad_diff", out, "--retain_weight", "1e39"), code=1) == line
    assert "smaller --lr" in line and "--overwrite" in refused(*before.unlearn("grad_diff", out))


def test_a_gradient_that_overflows(before, tmp_path, refused):
    line = refused(
        *before.unlearn("grad_diff", tmp_path / "out", "--retain_weight", "1e30"), code=1
    )
    assert "the gradient became inf at step 1" in line and "'nll/retain'" in line

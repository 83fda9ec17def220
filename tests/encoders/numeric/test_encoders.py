from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from prometheus.encoders import NumericWindowEncoder, PadToDimNumericEmbeddingModel
from prometheus.encoders.numeric import (
    BlocksConfig,
    BlocksEncoder,
    NumericEncoder,
    PadToDimEncoder,
    PcaConfig,
    PcaEncoder,
    RandomProjectionConfig,
    RandomProjectionEncoder,
    SeedEncoder,
    fit_pca,
    numeric_encoder,
)
from prometheus.errors import RequestError

CONF = Path(__file__).resolve().parents[3] / "conf" / "encoder" / "numeric"
RNG = np.random.default_rng(2)
BLOCKS = {
    "window": RNG.standard_normal((5, 189)).astype(np.float32),
    "scales": RNG.standard_normal((5, 36)).astype(np.float32),
}
PAST = np.zeros((400, 384), dtype=np.float32)
PAST[:, :225] = (
    RNG.standard_normal((400, 225)) @ np.diag(np.linspace(0.2, 0.001, 225)) @ RNG.standard_normal((225, 225))
)
PAST /= np.abs(PAST).max()
FIT = fit_pca(PAST, 64)
PCA = PcaEncoder().fitted(FIT, BlocksConfig())
ALL = [
    BlocksEncoder(),
    BlocksEncoder(BlocksConfig(norm="unit")),
    PadToDimEncoder(),
    SeedEncoder(),
    RandomProjectionEncoder(),
    RandomProjectionEncoder(RandomProjectionConfig(norm="unit", seed=3)),
    PCA,
]


def encode(encoder: NumericEncoder, blocks: dict[str, np.ndarray]) -> np.ndarray:
    rows = len(next(iter(blocks.values())))
    out = np.full((rows, encoder.descriptor.dimension), np.nan, dtype=np.float32)
    encoder.encode(blocks, out)
    return out


def inputs_of(encoder: NumericEncoder) -> dict[str, np.ndarray]:
    given = BLOCKS | {"plain": RNG.standard_normal((5, 189)).astype(np.float32) * 1e6}
    return {name: given[name] for name in encoder.inputs(("window", "scales"))}


@pytest.mark.parametrize("encoder", ALL, ids=lambda e: e.descriptor.name)
class TestContract:
    def test_it_is_an_encoder_with_a_fingerprint_of_json(self, encoder: NumericEncoder) -> None:
        assert isinstance(encoder, NumericEncoder)
        assert encoder.descriptor.dimension == 384
        assert json.loads(json.dumps(encoder.descriptor.fingerprint)) == encoder.descriptor.fingerprint

    def test_every_place_is_written_and_inputs_stay(self, encoder: NumericEncoder) -> None:
        blocks = inputs_of(encoder)
        before = {name: block.copy() for name, block in blocks.items()}
        assert np.isfinite(encode(encoder, blocks)).all()
        assert all(np.array_equal(before[name], blocks[name]) for name in blocks)

    def test_rows_do_not_know_each_other(self, encoder: NumericEncoder) -> None:
        blocks = inputs_of(encoder)
        alone = encode(encoder, {name: block[3:4].copy() for name, block in blocks.items()})
        assert np.array_equal(encode(encoder, blocks)[3:4].view(np.uint32), alone.view(np.uint32))


def test_blocks_lie_side_by_side_weighted_and_padded() -> None:
    out = encode(BlocksEncoder(), BLOCKS)
    assert out[:, :189] == pytest.approx(np.clip(BLOCKS["window"], -5, 5) * 0.5 / np.sqrt(189), abs=1e-6)
    assert out[:, 189:225] == pytest.approx(np.clip(BLOCKS["scales"], -5, 5) * 0.866 / np.sqrt(36), abs=1e-6)
    assert not out[:, 225:].any()
    assert np.linalg.norm(out, axis=1).mean() == pytest.approx(1.0, abs=0.15)


def test_slots_are_clipped() -> None:
    wild = {"window": np.full((1, 4), 1e30, np.float32), "scales": np.full((1, 4), -7.0, np.float32)}
    out = encode(BlocksEncoder(BlocksConfig(norm="none", clip=3.0)), wild)
    assert out[0, :9].tolist() == [3.0] * 4 + [-3.0] * 4 + [0.0]


def test_unit_norm_keeps_the_direction_and_leaves_zeros() -> None:
    blocks = {name: np.concatenate([block, np.zeros_like(block[:1])]) for name, block in BLOCKS.items()}
    free, unit = encode(BlocksEncoder(), blocks), encode(BlocksEncoder(BlocksConfig(norm="unit")), blocks)
    assert np.linalg.norm(unit[:5], axis=1) == pytest.approx(1.0, abs=1e-6)
    assert unit[:5] == pytest.approx(free[:5] / np.linalg.norm(free[:5], axis=1, keepdims=True), abs=1e-6)
    assert not unit[5].any()


def test_what_does_not_fit_is_refused_in_a_sentence() -> None:
    with pytest.raises(RequestError, match="block weather has no weight"):
        BlocksEncoder().inputs(("weather",))
    with pytest.raises(RequestError, match="have 400 slots together and the embedding 384"):
        encode(BlocksEncoder(), {"window": np.zeros((1, 400), np.float32)})
    with pytest.raises(RequestError, match="385 numbers does not fit into an embedding of 384 and nothing is cut"):
        encode(PadToDimEncoder(), {"window": np.zeros((1, 385), np.float32)})
    with pytest.raises(RequestError, match="which this model does not have"):
        PadToDimEncoder().inputs(("scales",))
    with pytest.raises(RequestError, match="no norm 'l2'"):
        BlocksConfig(norm="l2")  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="clip must be above 0"):
        BlocksConfig(clip=0.0)
    with pytest.raises(RequestError, match="weights are 0 or more"):
        BlocksConfig(weights={"window": -1.0})


def test_padding_adds_zeros_at_the_end_and_never_truncates() -> None:
    model = PadToDimNumericEmbeddingModel()
    flat = RNG.standard_normal(189)
    out = model.embed(flat)
    assert out.shape == (384,)
    assert out.dtype == np.float32
    assert np.array_equal(out[:189], flat.astype(np.float32))
    assert not out[189:].any()
    full = RNG.standard_normal((2, 384)).astype(np.float32)
    assert np.array_equal(model.embed(full), full)
    with pytest.raises(RequestError, match="nothing is cut off"):
        model.embed(np.zeros(385))


def test_windows_are_flattened_time_major() -> None:
    window = np.arange(6.0).reshape(2, 3)
    encoder = NumericWindowEncoder()
    assert encoder.encode(window)[:7].tolist() == [0, 1, 2, 3, 4, 5, 0]
    both = encoder.encode(np.stack([window, window + 10]))
    assert both.shape == (2, 384)
    assert both[1, :6].tolist() == [10, 11, 12, 13, 14, 15]


def test_pad_to_dim_is_the_window_alone() -> None:
    out = encode(PadToDimEncoder(), {"window": BLOCKS["window"]})
    assert out[:, :189] == pytest.approx(BLOCKS["window"] / np.sqrt(189), abs=1e-6)
    assert not out[:, 189:].any()


@pytest.mark.parametrize("name", ["blocks", "pad_to_dim", "seed", "random_projection", "pca"])
def test_each_config_file_makes_the_default_encoder(name: str) -> None:
    encoder = numeric_encoder(yaml.safe_load((CONF / f"{name}.yaml").read_text()))
    assert encoder.descriptor == numeric_encoder({"name": name}).descriptor
    assert encoder.descriptor.name == name


def test_wrong_settings_are_refused_in_a_sentence() -> None:
    with pytest.raises(
        RequestError, match="no numeric encoder 'pca2'; there are blocks, pad_to_dim, pca, random_projection, seed"
    ):
        numeric_encoder({"name": "pca2"})
    with pytest.raises(RequestError, match=r"pad_to_dim cannot be set up with \['colour'\]"):
        numeric_encoder({"name": "pad_to_dim", "colour": 3})


def test_settings_change_the_fingerprint() -> None:
    prints = [
        json.dumps(numeric_encoder(s).descriptor.fingerprint, sort_keys=True)
        for s in (
            {},
            {"norm": "unit"},
            {"clip": 4.0},
            {"weights": {"window": 1.0}},
            {"name": "pad_to_dim"},
            {"name": "seed"},
            {"name": "random_projection"},
            {"name": "random_projection", "seed": 8},
            {"name": "pca"},
            {"name": "pca", "components": 8},
            {"name": "pca", "fit_variant": "other"},
        )
    ]
    assert len(set(prints)) == len(prints)


def many(rows: int, width: int = 225) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(rows)
    return {
        "window": rng.standard_normal((rows, width - 36)).astype(np.float32),
        "scales": rng.standard_normal((rows, 36)).astype(np.float32),
    }


@pytest.mark.parametrize("encoder", [RandomProjectionEncoder(), PCA], ids=["random_projection", "pca"])
def test_a_projected_row_has_the_same_bits_in_any_batch(encoder: NumericEncoder) -> None:
    blocks = many(257)
    whole = encode(encoder, blocks)
    for lo, hi in ((0, 1), (3, 20), (100, 257)):
        part = encode(encoder, {name: block[lo:hi] for name, block in blocks.items()})
        assert np.array_equal(part.view(np.uint32), whole[lo:hi].view(np.uint32))
    backwards = encode(encoder, {name: block[::-1] for name, block in blocks.items()})
    assert np.array_equal(backwards[::-1], whole)


def test_a_random_projection_of_what_fits_keeps_norms_and_angles() -> None:
    blocks = many(50)
    plain, projected = encode(BlocksEncoder(), blocks), encode(RandomProjectionEncoder(), blocks)
    np.testing.assert_allclose(projected @ projected.T, plain @ plain.T, atol=3e-6)
    assert (np.count_nonzero(np.abs(projected) > 1e-6, axis=0) > 0).all()
    other = encode(RandomProjectionEncoder(RandomProjectionConfig(seed=8)), blocks)
    assert np.abs(other - projected).max() > 0.05


def test_a_random_projection_of_more_keeps_norms_on_average() -> None:
    blocks = many(400, width=500)
    wide = np.concatenate([blocks["window"] * 0.5 / np.sqrt(464), blocks["scales"] * 0.866 / 6], axis=1)
    ratio = np.linalg.norm(encode(RandomProjectionEncoder(), blocks), axis=1) / np.linalg.norm(wide, axis=1)
    assert ratio.mean() == pytest.approx(1.0, abs=0.03)
    assert ratio.std() < 0.08


def test_components_are_those_of_the_singular_values() -> None:
    centred = PAST.astype(np.float64) - PAST.mean(axis=0, dtype=np.float64)
    _, singular, right = np.linalg.svd(centred, full_matrices=False)
    assert FIT.variances == pytest.approx(singular[:64] ** 2 / 400, rel=1e-3)
    assert np.abs((FIT.components[:10] * right[:10]).sum(axis=1)) == pytest.approx(1.0, abs=1e-3)
    assert FIT.total_variance == pytest.approx((singular**2).sum() / 400, rel=1e-4)
    np.testing.assert_allclose(FIT.components @ FIT.components.T, np.eye(64), atol=1e-5)
    assert (np.take_along_axis(FIT.components, np.abs(FIT.components).argmax(axis=1)[:, None], axis=1) > 0).all()


def test_a_pca_vector_is_the_way_from_the_mean_along_the_components() -> None:
    blocks = many(20)
    plain = encode(BlocksEncoder(), blocks)
    expected = (plain.astype(np.float64) - FIT.mean) @ FIT.components.T
    np.testing.assert_allclose(encode(PCA, blocks)[:, :64], expected, atol=2e-6)
    assert not encode(PCA, blocks)[:, 64:].any()
    few = PcaEncoder(PcaConfig(components=5)).fitted(FIT, BlocksConfig())
    assert np.array_equal(encode(few, blocks)[:, :5], encode(PCA, blocks)[:, :5])
    assert not encode(few, blocks)[:, 5:].any()


def test_a_fit_depends_on_its_rows_not_on_their_order() -> None:
    again = fit_pca(PAST[np.random.default_rng(1).permutation(400)], 64)
    assert again.version == FIT.version
    assert fit_pca(PAST[:-1], 64).version != FIT.version


def test_what_a_fit_cannot_do_is_refused_in_a_sentence() -> None:
    with pytest.raises(RequestError, match="64 components cannot be fitted on 60 vectors"):
        fit_pca(PAST[:60], 64)
    with pytest.raises(RequestError, match="100 components are asked for and the fit has 64"):
        PcaEncoder(PcaConfig(components=100)).fitted(FIT, BlocksConfig())
    with pytest.raises(RequestError, match="pca keeps 1 to 384 components, not 0"):
        PcaConfig(components=0)
    with pytest.raises(RequestError, match="without a dated fit; it serves backfill_numeric_embeddings"):
        PcaEncoder().inputs(("window",))
    with pytest.raises(RequestError, match="seed of a projection is a whole number of at least 0, got -1"):
        RandomProjectionConfig(seed=-1)

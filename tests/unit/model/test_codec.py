from __future__ import annotations

from functools import partial

import pytest
import torch

from service.model.codec import Codec, CodecConfig
from service.model.refine import refine

END = 0
ROW = [5, 9, 200, 41]


@pytest.fixture(scope="module")
def codec() -> Codec:
    torch.manual_seed(0)
    config = CodecConfig(max_tokens=8, latent=512, width=32, encoder_layers=1, decoder_layers=1)
    made = Codec(config, torch.randn(300, 48), END)
    made.initialise()
    return made.eval()


def test_an_untrained_codec_already_holds_short_rows(codec: Codec) -> None:
    rows = [[5, 9, 200], [7], [299, 1, 2, 3]]
    with torch.inference_mode():
        assert codec.decode(codec.encode(*codec.pad(rows))) == rows


def test_only_the_direction_of_a_latent_counts(codec: Codec) -> None:
    with torch.inference_mode():
        z = codec.encode(*codec.pad([[5, 9, 200]]))
        assert codec.decode(0.14 * z) == codec.decode(z)


def test_a_row_does_not_depend_on_its_batch(codec: Codec) -> None:
    with torch.inference_mode():
        alone = codec.encode(*codec.pad([[5, 9]]))
        crowd = codec.encode(*codec.pad([[5, 9], [1, 2, 3, 4, 5, 6]]))[:1]
    scale = (alone * crowd).sum() / alone.square().sum()
    assert torch.allclose(alone, crowd / scale, atol=1e-5)


def test_rows_are_ended_where_the_end_fits(codec: Codec) -> None:
    ids, lengths = codec.pad([[3] * 8, [4]])
    assert lengths.tolist() == [8, 2]
    assert ids[0].tolist() == [3] * 8
    assert ids[1].tolist()[1] == END


def _refined(codec: Codec, wrong: dict[tuple[int, int], float], gradient: float = 1.0) -> list[int]:
    """What the latent of ROW is taken for, from logits of 10 for its tokens but for `wrong`."""
    z = codec.encode(*codec.pad([ROW]))[0]
    logits = torch.zeros(8, 300)
    logits[range(len(ROW) + 1), [*ROW, END]] = 10.0
    for (position, token), logit in wrong.items():
        logits[position, token] = logit
    return refine(logits, END, partial(codec._likeness, z=z),
                  lambda row: gradient * codec._gains(row, z))  # fmt: skip


@torch.inference_mode()
def test_a_text_is_changed_until_it_encodes_to_its_latent(codec: Codec) -> None:
    """A stranger, and too early an end: tokens that the decoder half nearly took."""
    assert _refined(codec, {(1, 77): 12.0, (3, END): 12.0}, gradient=0.0) == ROW


@torch.inference_mode()
def test_a_token_that_the_decoder_half_never_took_is_found_by_the_gradient(codec: Codec) -> None:
    wrong = {(1, 9): -90.0, (1, 77): 12.0}
    assert _refined(codec, wrong, gradient=0.0) != ROW
    assert _refined(codec, wrong) == ROW


@torch.inference_mode()
def test_a_text_that_ran_on_is_ended(codec: Codec) -> None:
    wrong = {(t, token): 90.0 for t, token in enumerate([7, 8, 11, 12], start=4)}
    assert _refined(codec, wrong, gradient=0.0) == ROW


def test_under_noise_the_nearest_text_wins(codec: Codec) -> None:
    torch.manual_seed(1)
    rows = torch.randint(1, 300, (40, 6)).tolist()
    with torch.inference_mode():
        z = codec.encode(*codec.pad(rows))
        noisy = z + torch.randn_like(z) * 0.8
        plain = codec.greedy(noisy)
        found = codec.decode(noisy)
    right = [sum(a == b for a, b in zip(rows, tokens, strict=True)) for tokens in (plain, found)]
    assert right[0] < right[1]

"""The forward pass of a BERT encoder over windows that lie one after the other, without padding.

Algorithm (Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding";
the layer is that of Vaswani et al. 2017, "Attention Is All You Need", eq. 1 and section 3.1, post-normalised):

1. x = LayerNorm(word[id] + position[p] + segment[0])
2. per layer: x = LayerNorm(x + W_o attention(x)), then x = LayerNorm(x + W_2 gelu(W_1 x)); attention runs among the
   tokens of one window only, softmax(q k' / sqrt(d_head)) v per head
3. the vector of a window is the mean of its tokens (or its first token), scaled to unit length

Dropout is off. Everything is float32. Every step but attention sees single tokens, so windows need not be padded to
one length; attention takes the windows of equal length together.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prometheus.encoders.text.batching import Batch
from prometheus.errors import BadDataError

_LAYER = (
    "attention.output.dense.weight",
    "attention.output.dense.bias",
    "attention.output.LayerNorm.weight",
    "attention.output.LayerNorm.bias",
    "intermediate.dense.weight",
    "intermediate.dense.bias",
    "output.dense.weight",
    "output.dense.bias",
    "output.LayerNorm.weight",
    "output.LayerNorm.bias",
)


class PackedBert:
    """A BERT encoder with its weights in memory.

    Parameters
    ----------
    weights : Path
        A safetensors file with the names of a Hugging Face BERT checkpoint.
    architecture : str
        As :func:`prometheus.encoders.text.model_files.read_architecture` writes it.
    pooling : {'mean', 'cls'}
    device : str
        ``cpu`` or ``cuda``.
    """

    def __init__(self, weights: Path, architecture: str, pooling: str, device: str) -> None:
        import torch
        from safetensors.torch import load_file

        form = re.fullmatch(r"bert-(\d+)x(\d+)-h(\d+)-i\d+-p\d+-eps(\S+)", architecture)
        if form is None or pooling not in {"mean", "cls"}:
            raise ValueError(f"there is no BERT encoder {architecture!r} with pooling {pooling!r}")
        layers, self.width, self.heads, self.eps = int(form[1]), int(form[2]), int(form[3]), float(form[4])
        self.pooling, self.device = pooling, device
        stored = {k.removeprefix("bert."): v.float().to(device) for k, v in load_file(str(weights)).items()}

        def take(name: str) -> Any:
            if name not in stored:
                raise BadDataError(f"{weights} has no tensor {name}; it is not a BERT checkpoint of {architecture}")
            return stored[name]

        self._words = take("embeddings.word_embeddings.weight")
        self._places = (
            take("embeddings.position_embeddings.weight") + take("embeddings.token_type_embeddings.weight")[0]
        )
        self._norm = (take("embeddings.LayerNorm.weight"), take("embeddings.LayerNorm.bias"))
        self._layers = []
        for i in range(layers):
            at = f"encoder.layer.{i}."
            # One product for query, key and value: three narrow ones keep the processor less busy.
            joined = [
                torch.cat([take(f"{at}attention.self.{part}.{kind}") for part in ("query", "key", "value")])
                for kind in ("weight", "bias")
            ]
            self._layers.append((*joined, *(take(at + name) for name in _LAYER)))

    def encode(self, batch: Batch) -> NDArray[np.float32]:
        """Encode one batch.

        Returns
        -------
        ndarray of shape (b, width), float32
            Unit vectors of the batch's windows, in its order.
        """
        import torch
        from torch.nn import functional

        def norm(x: Any, weight: Any, bias: Any) -> Any:
            return functional.layer_norm(x, (self.width,), weight, bias, self.eps)

        with torch.inference_mode():
            ids = torch.from_numpy(batch.ids).to(self.device)
            positions = torch.from_numpy(batch.positions).to(self.device)
            x = norm(self._words[ids] + self._places[positions], *self._norm)
            for w_qkv, b_qkv, w_o, b_o, g_1, s_1, w_1, b_1, w_2, b_2, g_2, s_2 in self._layers:
                context = self._attend(functional.linear(x, w_qkv, b_qkv), batch.groups)
                x = norm(functional.linear(context, w_o, b_o).add_(x), g_1, s_1)
                inner = functional.gelu(functional.linear(x, w_1, b_1))
                x = norm(functional.linear(inner, w_2, b_2).add_(x), g_2, s_2)
            pooled = []
            start = 0
            for count, length in batch.groups:
                tokens = x[start : start + count * length].view(count, length, self.width)
                pooled.append(tokens[:, 0] if self.pooling == "cls" else tokens.mean(dim=1))
                start += count * length
            vectors: NDArray[np.float32] = functional.normalize(torch.cat(pooled), dim=1).cpu().numpy()
        return vectors

    def _attend(self, qkv: Any, groups: tuple[tuple[int, int], ...]) -> Any:
        """Attention within each window; the idle tokens at the end keep zeros."""
        from torch.nn import functional

        head = self.width // self.heads
        context = qkv.new_zeros((len(qkv), self.width))
        start = 0
        for count, length in groups:
            stop = start + count * length
            q, k, v = qkv[start:stop].view(count, length, 3, self.heads, head).permute(2, 0, 3, 1, 4)
            seen = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2)
            context[start:stop].view(count, length, self.heads, head).copy_(seen)
            start = stop
        return context

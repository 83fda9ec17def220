"""The blocks that numeric models are put together from."""

from __future__ import annotations

from prometheus.spaces.numeric.scales import ScalesBlock
from prometheus.spaces.numeric.slots import SlotBlock
from prometheus.spaces.numeric.window import PlainBlock, WindowBlock

BLOCKS: dict[str, SlotBlock] = {block.name: block for block in (WindowBlock(), ScalesBlock(), PlainBlock())}
